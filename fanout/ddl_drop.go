package fanout

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// Drop is an object that is to be removed before the restore.
type Drop struct {
	Entry *archive.Entry
	SQL   []string // as in [Plan.Definition]
}

// Drops gives what [PlanOptions.Clean] removes, in the order in which it must go, the reverse of how it was made; nil
// without Clean. With Create that is the database alone, which takes everything else with it.
func (p *Plan) Drops(st *State) []Drop {
	var drops []Drop
	p.eachDrop(st, func(e *archive.Entry, sets []string, sql string) {
		if trimStatement(sql) == "" || strings.HasPrefix(sql, "--") {
			sql = ""
		}
		statements := sets
		if sql != "" {
			statements = append(statements, sql)
		}
		if len(statements) > 0 {
			drops = append(drops, Drop{Entry: e, SQL: statements})
		}
	})
	return drops
}

// eachDrop calls fn for every entry that is dropped, with the settings that it needs and the text of its statement.
func (p *Plan) eachDrop(st *State, fn func(e *archive.Entry, sets []string, sql string)) {
	if !p.Options.Clean {
		return
	}
	for _, e := range slices.Backward(p.order) {
		isDB := e.Kind == kindDatabase || e.Kind == kindDatabaseProp
		if p.Options.Create && !isDB || !p.wanted[e.ID].any() || e.Nulls&archive.NullDrop != 0 || p.isBuiltIn(e) {
			continue
		}
		fn(e, p.schemaSetting(st, e), p.dropStatement(e))
	}
	// What was the current schema may be gone.
	st.schema = setting{}
}

// drops tells whether the table of a TABLE DATA entry is dropped first.
func (p *Plan) drops(dataID int32) bool {
	t := p.Table(dataID)
	return t != nil && p.wanted[t.ID].any() && t.Nulls&archive.NullDrop == 0 && p.dropStatement(t) != ""
}

// isBuiltIn tells whether an object is in every database from the start and needed there. Before version 11 pg_dump wrote
// it all the same, to be created if it is missing.
func (p *Plan) isBuiltIn(e *archive.Entry) bool {
	major := dumpMajor(p.Catalog.PgDumpVersion)
	return e.Kind == "EXTENSION" && e.Name == "plpgsql" && major > 0 && major < 11
}

// dropStatement is an entry's own, with IF EXISTS where that is asked for.
func (p *Plan) dropStatement(e *archive.Entry) string {
	switch {
	case e.Kind == "EXTERNAL TABLE" && strings.HasSuffix(e.Drop, "."): // so says Greenplum 6, and does not mean it
		fixed := *e
		fixed.Drop = strings.TrimSuffix(e.Drop, ".") + ";\n"
		return p.dropStatement(&fixed)
	case e.Kind == kindBlobMetadata && (p.Options.IfExists || strings.HasPrefix(e.Drop, unlinkIfExists)): // of archives before 1.12 always
		return blobCommands(e.DDL, unlinkIfExists, "'") + "\n\n"
	case e.Kind == kindBlobMetadata:
		return blobCommands(e.DDL, "SELECT pg_catalog.lo_unlink('", "')") + "\n\n"
	case e.Drop == "" || !p.Options.IfExists || strings.HasPrefix(e.Drop, "--"):
		return e.Drop
	case e.Kind == kindBlob:
		return fmt.Sprintf("%s%d';\n", unlinkIfExists, e.OID)
	default:
		return dropIfExists(e)
	}
}

// unlinkIfExists removes a large object only if it is there; its OID and a quote follow.
const unlinkIfExists = "SELECT pg_catalog.lo_unlink(oid) FROM pg_catalog.pg_largeobject_metadata WHERE oid = '"

// dropIfExists puts IF EXISTS into a statement. The text of the catalog has none, and what has to be found in it is
// the kind of object, after which it goes.
func dropIfExists(e *archive.Entry) string {
	sql, front := e.Drop, ""
	if rest, ok := strings.CutPrefix(sql, "ALTER TABLE"); ok {
		sql, front = rest, "ALTER TABLE IF EXISTS"
	}
	switch {
	case e.Kind == "DEFAULT", e.Kind == kindDatabaseProp,
		// A view whose columns others depend on is emptied, not dropped.
		strings.HasPrefix(sql, "CREATE OR REPLACE VIEW"):
		return front + sql
	}
	mark := "DROP " + e.Kind
	switch e.Kind {
	case "CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT":
		mark = "DROP CONSTRAINT"
	}
	before, after, ok := strings.Cut(sql, mark)
	if !ok {
		return front + sql
	}
	return front + before + mark + " IF EXISTS" + after
}
