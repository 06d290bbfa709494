package pgdump

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// dropText is a statement that --clean has written before the first entry.
type dropText struct {
	sql string // as archives have it: without IF EXISTS, with its line end
	at  int64
}

// dropStatement takes a statement that removes something, from before the first entry of a script.
func (p *scriptParser) dropStatement(text []byte) bool {
	if p.started || p.cur != nil || p.head.title == "" || !p.isDrop(text) {
		return false
	}
	p.drops = append(p.drops, dropText{sql: p.withoutIfExists(text) + ";\n", at: p.in.offset()})
	return true
}

// isDrop tells whether a statement is one of those.
func (p *scriptParser) isDrop(text []byte) bool {
	r := newSQLReader(text, p.lx.std, p.lx.wide)
	switch {
	case r.at("drop"):
		return true
	case r.at("alter"):
		return r.find("drop", "disable") != ""
	case r.at("select"):
		return bytes.HasPrefix(text, []byte("SELECT pg_catalog.lo_unlink("))
	case r.at("update"):
		return bytes.HasPrefix(text, []byte("UPDATE pg_catalog.pg_database SET datistemplate = false WHERE datname = "))
	case r.at("create"):
		return isEmptiedView(string(text))
	}
	return false
}

// isEmptiedView tells whether a statement makes a view that has columns and nothing else: what is left of a view that
// others depend on when its rule is removed.
func isEmptiedView(sql string) bool {
	return strings.HasPrefix(sql, "CREATE OR REPLACE VIEW ") && strings.Contains(sql, " AS\nSELECT\n    NULL::")
}

// withoutIfExists takes IF EXISTS out of a statement.
func (p *scriptParser) withoutIfExists(text []byte) string {
	var b strings.Builder
	r := newSQLReader(text, p.lx.std, p.lx.wide)
	done := int64(0)
	for r.t.kind != sqlEnd {
		from := r.t.from
		if r.lx.depth == 0 && r.skip("if exists") {
			b.Write(bytes.TrimRight(text[done:from], " "))
			if done = r.t.from; done > 0 && done < int64(len(text)) {
				b.WriteByte(' ')
			}
			continue
		}
		r.next()
	}
	b.Write(text[done:])
	sql := b.String()
	const unlink = "SELECT pg_catalog.lo_unlink(oid) FROM pg_catalog.pg_largeobject_metadata WHERE oid = '"
	if rest, ok := strings.CutPrefix(sql, unlink); ok {
		return "SELECT pg_catalog.lo_unlink('" + rest + ")"
	}
	return sql
}

// matchDrops gives each such statement to its entry. They come in the reverse order of what they remove.
func (p *scriptParser) matchDrops() {
	bySQL := make(map[string]*scriptEntry, len(p.entries))
	blobs := make(map[string]bool)
	for _, e := range p.entries {
		if e.Drop != "" {
			bySQL[e.Drop] = e
		}
		if e.Kind == kindBlobGroup {
			for oid := range strings.Lines(e.DDL) {
				blobs["SELECT pg_catalog.lo_unlink('"+strings.TrimSpace(oid)+"');\n"] = true
			}
		}
	}
	lost := 0
	for _, d := range p.drops {
		if bySQL[d.sql] != nil || blobs[d.sql] || p.takesDrop(d.sql) {
			continue
		}
		lost++
	}
	if lost > 0 {
		p.warn(fmt.Sprintf("%d statements with which it removes objects belong to nothing that it makes, and are left out", lost))
	}
}

// takesDrop looks for an entry whose statement can't be made up, and gives it this one.
func (p *scriptParser) takesDrop(sql string) bool {
	kind := "DATABASE PROPERTIES"
	if strings.HasPrefix(sql, "CREATE OR REPLACE VIEW ") {
		kind = "RULE"
	} else if !strings.HasPrefix(sql, "UPDATE pg_catalog.pg_database ") {
		kind = ""
	}
	name, _, _ := strings.Cut(sql, " AS\n")
	for _, e := range p.entries {
		if kind != "" && e.Kind == kind && (kind != "RULE" || strings.HasPrefix(e.DDL, name+" AS\n")) {
			e.Drop = sql
			e.setNulls()
			return true
		}
	}
	return slices.ContainsFunc(p.entries, func(e *scriptEntry) bool {
		return ownedBySignature(e.Kind) && e.Drop == "" && strings.HasPrefix(sql, "DROP "+e.Kind+" "+e.obj.name.text)
	})
}

// viewDrops makes up the statements that remove the rules of views: these become again what they were before.
func (p *scriptParser) viewDrops() {
	views := make(map[[2]string]*scriptEntry)
	for _, e := range p.entries {
		switch {
		case e.Kind == "VIEW":
			views[e.obj.name.key()] = e
		case e.Kind == "RULE" && e.obj.kind == "VIEW" && e.Drop == "":
			if v := views[e.obj.name.key()]; v != nil {
				if sql := strings.Replace(v.DDL, "CREATE VIEW", "CREATE OR REPLACE VIEW", 1); isEmptiedView(sql) {
					e.Drop = sql
					e.setNulls()
				}
			}
		}
	}
}

// templateDrops makes up the statement without which a database that is a template can't be dropped.
func (p *scriptParser) templateDrops() {
	for _, e := range p.entries {
		if e.Kind == "DATABASE PROPERTIES" && e.Drop == "" && strings.Contains(e.DDL, " IS_TEMPLATE = true;\n") {
			e.Drop = "UPDATE pg_catalog.pg_database SET datistemplate = false WHERE datname = '" + strings.ReplaceAll(e.Name, "'", "''") + "';\n"
			e.setNulls()
		}
	}
}
