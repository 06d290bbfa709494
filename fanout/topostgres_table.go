package fanout

import (
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// table translates a TABLE entry: CREATE TABLE and the statements that follow it.
func (t *translator) table(e *archive.Entry) {
	if e.WithOIDs {
		t.note(noteOIDs, e)
		e.WithOIDs = false
	}
	statements := t.statements(e)
	if len(statements) == 0 {
		return
	}
	var all []string
	for i, s := range statements {
		if i == 0 {
			all = append(all, t.createTable(e, s)...)
			continue
		}
		if t.keepsStatement(e, s) {
			t.withoutOnly(e, s)
			all = append(all, s.result())
		}
	}
	e.DDL = joinStatements(all)
}

// keepsStatement tells whether a statement after CREATE TABLE means something to PostgreSQL.
func (t *translator) keepsStatement(e *archive.Entry, s *statement) bool {
	switch {
	case s.is(0, "DROP", "TABLE"): // the external table that was exchanged
		return false
	case !s.is(0, "ALTER", "TABLE"):
		return true
	}
	i := 2
	if s.is(i, "ONLY") {
		i++
	}
	i, _ = s.qualified(i)
	for s.is(i, "ALTER", "PARTITION") {
		i += 2
		if s.is(i, "FOR", "(") {
			i = s.closing(i+1) + 1
		} else {
			i++
		}
	}
	switch {
	case s.is(i, "SET", "SUBPARTITION", "TEMPLATE"):
		t.note(noteTemplate, e)
		return false
	case s.is(i, "EXCHANGE", "PARTITION"):
		t.note(noteExchanged, e)
		return false
	case s.is(i, "SET", "DISTRIBUTED"), s.is(i, "SET", "WITH"):
		t.note(noteDistributed, e)
		return false
	}
	return true
}

// withoutOnly takes ONLY out of ALTER TABLE for a table that is now partitioned: what holds for it holds for its parts.
func (t *translator) withoutOnly(e *archive.Entry, s *statement) {
	if t.parted[e.ID] && s.is(0, "ALTER", "TABLE", "ONLY") {
		s.cut(2, 2)
	}
}

// tableDDL is a CREATE TABLE statement, taken apart.
type tableDDL struct {
	s         *statement
	name      string // as written, with its schema
	schema    string // as written, with the period; may be ""
	unlogged  bool
	columns   map[string]string // names and the first word of their types
	inherits  bool
	options   []string // those that PostgreSQL knows
	with      [2]int   // tokens of WITH (...)
	space     [2]int   // tokens of TABLESPACE name
	native    bool     // it is a partitioned table as PostgreSQL has them
	partition *partitionClause
	clause    [2]int // tokens of the partition clause
}

// createTable translates the statement itself.
func (t *translator) createTable(e *archive.Entry, s *statement) []string {
	d := &tableDDL{s: s, columns: make(map[string]string)}
	i := 1
	for ; i < len(s.tokens) && !s.is(i, kindTable); i++ {
		d.unlogged = d.unlogged || s.is(i, "UNLOGGED")
	}
	after, name := s.qualified(i + 1)
	if !s.is(0, "CREATE") || name == "" {
		return []string{s.result()}
	}
	d.name = name
	d.schema = name[:len(name)-len(s.text(after-1))]
	t.clauses(e, d, after)
	if d.partition == nil {
		return []string{s.result()}
	}
	reason := t.unfit(e, d)
	if reason == "" {
		leaves, why := d.partitions()
		if reason = why; reason == "" {
			t.parted[e.ID] = true
			return append([]string{s.result()}, leaves...)
		}
	}
	s.cut(d.clause[0], d.clause[1])
	d.keepOptions()
	t.notes.add(noteKind{What: "partitioned tables made ordinary ones", Why: reason}, e)
	return []string{s.result()}
}

// clauses goes through what follows the name.
func (t *translator) clauses(e *archive.Entry, d *tableDDL, i int) {
	s := d.s
	if s.is(i, "(") {
		t.columns(e, d, i)
		i = s.closing(i) + 1
	}
	for i < len(s.tokens) {
		next := i + 1
		switch {
		case s.is(i, "WITH", "("):
			next = s.closing(i+1) + 1
			d.with = [2]int{i, next - 1}
			d.options = t.storageOptions(e, s, i+1)
		case s.is(i, "TABLESPACE") && s.isName(i+1):
			next = i + 2
			d.space = [2]int{i, i + 1}
		case s.is(i, "WITH", "OIDS"), s.is(i, "WITHOUT", "OIDS"):
			next = i + 2
			s.cut(i, i+1)
		case s.is(i, "USING") && s.isName(i+1):
			next = i + 2
			if isGreenplumAM(s.name(i + 1)) {
				s.cut(i, i+1)
				t.note(noteStorage, e)
			}
		case s.is(i, "DISTRIBUTED"):
			next = t.distribution(e, s, i)
		case s.is(i, "INHERITS"):
			d.inherits = true
		case s.is(i, "PARTITION", "BY"):
			next = d.partitionBy(i)
		case s.is(i, "("):
			next = s.closing(i) + 1
		}
		i = next
	}
	if d.native {
		d.options = nil // PostgreSQL stores nothing for it
	}
	if d.partition == nil {
		d.keepOptions()
	}
}

// distribution cuts DISTRIBUTED BY (...), RANDOMLY or REPLICATED out.
func (t *translator) distribution(e *archive.Entry, s *statement, i int) (next int) {
	last := i + 1
	if s.is(i, "DISTRIBUTED", "BY", "(") {
		last = s.closing(i + 2)
	}
	last = min(last, len(s.tokens)-1)
	s.cut(i, last)
	t.note(noteDistributed, e)
	return last + 1
}

// keepOptions leaves those storage options in their place that PostgreSQL knows.
func (d *tableDDL) keepOptions() {
	switch {
	case d.with == [2]int{}:
	case len(d.options) == 0:
		d.s.cut(d.with[0], d.with[1])
	default:
		d.s.replace(d.with[0]+1, d.with[1], "("+strings.Join(d.options, ", ")+")")
	}
}

// columns notes the columns, and cuts out how they are stored.
func (t *translator) columns(e *archive.Entry, d *tableDDL, open int) {
	s := d.s
	for n, item := range s.list(open) {
		from, to := item[0], item[1]
		if s.is(from, "COLUMN") || s.is(from, "DEFAULT", "COLUMN") { // storage of columns, apart from them
			first := from
			if n > 0 {
				first-- // the comma
			}
			s.cut(first, to-1)
			t.note(noteStorage, e)
			continue
		}
		if s.isName(from) && from+1 < to {
			d.columns[s.name(from)] = strings.ToLower(s.text(from + 1))
		}
		for i := from + 2; i < to-1; i++ {
			if s.tokens[i].depth == s.tokens[from].depth && s.is(i, "ENCODING", "(") {
				s.cut(i, s.closing(i+1))
				t.note(noteStorage, e)
			}
		}
	}
}

// storageOptions reads WITH (...), whose parenthesis is at open, and gives the options that PostgreSQL knows.
func (t *translator) storageOptions(e *archive.Entry, s *statement, open int) []string {
	var keep []string
	for _, item := range s.list(open) {
		after, _ := s.qualified(item[0])
		name := s.name(item[0])
		text := s.sql[s.tokens[item[0]].from:s.tokens[item[1]-1].to]
		switch {
		case name == "toast", slices.Contains(postgresOptions(), name), strings.HasPrefix(name, "autovacuum_"),
			strings.HasPrefix(name, "log_autovacuum_"):
			keep = append(keep, text)
		case name == "oids":
			if after+1 < item[1] && !strings.EqualFold(strings.Trim(s.text(after+1), "'"), "false") {
				t.note(noteOIDs, e)
			}
		case name == "tablename":
		case name == "appendonly" && strings.EqualFold(strings.Trim(s.text(item[1]-1), "'"), "false"):
		default:
			t.note(noteStorage, e)
		}
	}
	return keep
}

// postgresOptions are the storage options of tables and indexes that PostgreSQL has, other than those for autovacuum.
func postgresOptions() []string {
	return []string{
		"fillfactor", "parallel_workers", "user_catalog_table", "toast_tuple_target", "vacuum_index_cleanup",
		"vacuum_truncate", "vacuum_max_eager_freeze_failure_rate",
		"deduplicate_items", "fastupdate", "gin_pending_list_limit", "buffering", "pages_per_range", "autosummarize",
	}
}

// isGreenplumAM tells the table access methods of Greenplum 7 and Cloudberry.
func isGreenplumAM(am string) bool {
	switch am {
	case "ao_row", "ao_column", "aorow", "aocs", "appendoptimized", "pax":
		return true
	default:
		return false
	}
}
