package fanout

import (
	"strings"

	"github.com/pgark/pgark/archive"
)

// materializedView cuts out how the view is stored and spread.
func (t *translator) materializedView(e *archive.Entry) {
	statements := t.statements(e)
	var all []string
	for n, s := range statements {
		if n == 0 {
			t.createMaterializedView(e, s)
		}
		all = append(all, s.result())
	}
	e.DDL = joinStatements(all)
}

func (t *translator) createMaterializedView(e *archive.Entry, s *statement) {
	i := 1
	if s.is(i, "INCREMENTAL") {
		s.cut(i, i)
		i++
		t.notes.add(noteKind{What: "INCREMENTAL left out of materialized views", Why: "PostgreSQL refreshes them as a whole"}, e)
	}
	if !s.is(i, "MATERIALIZED", "VIEW") {
		return
	}
	i, _ = s.qualified(i + 2)
	if s.is(i, "(") {
		i = s.closing(i) + 1
	}
	for i < len(s.tokens) && !s.is(i, "AS") {
		next := i + 1
		switch {
		case s.is(i, "USING") && s.isName(i+1) && isGreenplumAM(s.name(i+1)):
			s.cut(i, i+1)
			t.note(noteStorage, e)
		case s.is(i, "WITH", "("):
			next = s.closing(i+1) + 1
			d := &tableDDL{s: s, with: [2]int{i, next - 1}, options: t.storageOptions(e, s, i+1)}
			d.keepOptions()
		}
		i = next
	}
	// The clause is the last of the statement, after WITH [NO] DATA, so that no alias in the query is taken for it.
	for i := range s.tokens {
		if s.tokens[i].depth == 0 && s.is(i, "DATA", "DISTRIBUTED") {
			t.distribution(e, s, i+1)
		}
	}
}

// index makes bitmap indexes btree indexes and keeps the options that PostgreSQL knows.
func (t *translator) index(e *archive.Entry) {
	var all []string
	for _, s := range t.statements(e) {
		if s.is(0, "CREATE") {
			for i := 0; i < len(s.tokens); i++ {
				switch {
				case s.tokens[i].depth > 0:
				case s.is(i, "WHERE"):
					i = len(s.tokens)
				case s.is(i, "USING", "bitmap"):
					s.replace(i+1, i+1, "btree")
					t.note(noteBitmap, e)
				case s.is(i, "WITH", "("):
					d := &tableDDL{s: s, with: [2]int{i, s.closing(i + 1)}, options: t.storageOptions(e, s, i+1)}
					d.keepOptions()
				}
			}
		}
		all = append(all, s.result())
	}
	e.DDL = joinStatements(all)
}

// function cuts out where a function runs and what it does with SQL. The body is a string, or comes after BEGIN or RETURN.
func (t *translator) function(e *archive.Entry) {
	tokens := lexSQL(e.DDL, t.std)
	s := &statement{sql: e.DDL, tokens: tokens}
	i, _ := s.qualified(2)
	if !s.is(0, "CREATE") || !s.is(i, "(") {
		return
	}
	for i = s.closing(i) + 1; i < len(s.tokens) && !s.isAny(i, "BEGIN", "RETURN", ";"); i++ {
		if s.tokens[i].depth > 0 {
			continue
		}
		switch {
		case s.is(i, "EXECUTE", "ON", "ALL", "SEGMENTS"):
			s.cut(i, i+3)
			t.note(noteExecuteOn, e)
		case s.is(i, "EXECUTE", "ON") && s.isAny(i+2, "ANY", "MASTER", "COORDINATOR", "INITPLAN"):
			s.cut(i, i+2)
			t.note(noteExecuteOn, e)
		case s.is(i, "NO", "SQL"), s.is(i, "CONTAINS", "SQL"):
			s.cut(i, i+1)
			t.note(noteSQLData, e)
		case s.is(i, "READS", "SQL", "DATA"), s.is(i, "MODIFIES", "SQL", "DATA"):
			s.cut(i, i+2)
			t.note(noteSQLData, e)
		case s.is(i, "SET") && s.isName(i+1) && isGreenplumSetting(s.name(i+1)) && s.isAny(i+2, "TO", "="):
			s.cut(i, min(i+3, len(s.tokens)-1))
			t.note(noteSettings, e)
		}
	}
	if len(s.edits) > 0 {
		// The semicolon and what follows it stay.
		e.DDL = s.result() + "\n"
	}
}

// aggregate takes over what older releases have another word for.
func (t *translator) aggregate(e *archive.Entry) {
	var all []string
	for _, s := range t.statements(e) {
		if s.is(0, "CREATE", "ORDERED", "AGGREGATE") {
			s.cut(1, 1)
			t.notes.add(noteKind{What: "ORDERED left out of aggregates", Why: "PostgreSQL's take ORDER BY in each call"}, e)
		}
		for i := range s.tokens {
			if s.tokens[i].depth == 1 && s.is(i, "PREFUNC", "=") {
				s.replace(i, i, "COMBINEFUNC")
			}
		}
		all = append(all, s.result())
	}
	e.DDL = joinStatements(all)
}

// databaseSettings leaves out ALTER DATABASE ... SET of settings that PostgreSQL does not know.
func (t *translator) databaseSettings(e *archive.Entry) {
	var all []string
	cut := false
	for _, s := range t.statements(e) {
		i := len(s.tokens)
		for k := range s.tokens {
			if s.is(k, "SET") {
				i = k + 1
				break
			}
		}
		if s.is(0, "ALTER") && s.isName(i) && isGreenplumSetting(s.name(i)) {
			t.note(noteSettings, e)
			cut = true
			continue
		}
		all = append(all, s.result())
	}
	if cut {
		e.DDL = joinStatements(all)
	}
}

// onPartitioned adapts what depends on a table that has become a partitioned one.
func (t *translator) onPartitioned(e, table *archive.Entry) {
	switch e.Kind {
	case kindTableData:
		// Rows go through the root, so no partition may be emptied or frozen on the way.
		e.DDL = viaRootMark + table.Name
		e.Nulls &^= archive.NullDDL
		return
	case kindACL:
		t.note(noteLeafACL, table)
		return
	case "CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT", "DEFAULT", "INDEX", "TRIGGER":
	default:
		return
	}
	var all []string
	for _, s := range t.statements(e) {
		i := 2
		if s.is(0, "ALTER", "TABLE", "ONLY") {
			s.cut(2, 2)
			i++
		}
		if i, _ = s.qualified(i); s.is(0, "ALTER", "TABLE") && s.is(i, "CLUSTER", "ON") {
			t.note(noteClusterOn, table)
			continue
		}
		all = append(all, s.result())
	}
	e.DDL = joinStatements(all)
}

// partitionsMade names the partitions, as they are written, that a definition makes beside its own table.
func partitionsMade(ddl string, std bool) []string {
	if !strings.Contains(ddl, " PARTITION OF ") {
		return nil
	}
	var names []string
	for n, s := range lexStatements(ddl, std) {
		i := 1
		if s.is(i, "UNLOGGED") {
			i++
		}
		if n == 0 || !s.is(0, "CREATE") || !s.is(i, "TABLE") {
			continue
		}
		if after, name := s.qualified(i + 1); s.is(after, "PARTITION", "OF") {
			names = append(names, name)
		}
	}
	return names
}

// partitionsOf names the partitions that a table's definition makes with it: only a translated one does.
func (p *Plan) partitionsOf(e *archive.Entry) []string {
	if e.Kind != kindTable {
		return nil
	}
	return partitionsMade(e.DDL, p.style.stdStrings)
}

// isGreenplumExtension tells extensions that make sense in a cluster only.
func isGreenplumExtension(name string) bool {
	switch name {
	case "plcontainer", "pxf", "pxf_fdw", "diskquota", "gpss", "metrics_collector", "greenplum_fdw", "advanced_password_check",
		"interconnect", "pax", "datalake_fdw", "dfs_tablespace":
		return true
	default:
		return strings.HasPrefix(name, "gp_")
	}
}

// isGreenplumSetting tells settings that only Greenplum and Cloudberry have.
func isGreenplumSetting(name string) bool {
	return strings.HasPrefix(name, "gp_") || name == "optimizer" || strings.HasPrefix(name, "optimizer_") ||
		strings.HasPrefix(name, "execute_pruned_plan")
}
