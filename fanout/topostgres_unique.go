package fanout

import (
	"fmt"
	"slices"

	"github.com/pgark/pgark/archive"
)

// unfit tells why a table can't be a partitioned one of PostgreSQL, "" if it can.
func (t *translator) unfit(e *archive.Entry, d *tableDDL) string {
	if d.inherits {
		return "PostgreSQL's partitioned tables can't inherit from others"
	}
	keys := d.partition.keys()
	for _, id := range t.users[e.ID] {
		user := t.byID[id]
		switch user.Kind {
		case "CONSTRAINT", "INDEX":
		default:
			continue
		}
		columns, unique := t.uniqueColumns(user)
		if !unique {
			continue
		}
		for _, k := range keys {
			if !slices.Contains(columns, k) {
				return fmt.Sprintf("what is unique in them, such as %s, lacks the partition key, which PostgreSQL demands", quoteID(user.Name))
			}
		}
	}
	return ""
}

// uniqueColumns gives the columns of a primary key, a unique or exclusion constraint, or a unique index. Those of an
// exclusion constraint do not count, since no server before version 17 has one on partitions.
func (t *translator) uniqueColumns(e *archive.Entry) (columns []string, unique bool) {
	for _, s := range t.statements(e) {
		open := -1
		switch {
		case s.is(0, "CREATE", "UNIQUE", "INDEX"):
			open, unique = s.find("("), true
		case s.is(0, "ALTER", "TABLE"):
			if i := s.find("PRIMARY", "KEY", "("); i >= 0 {
				open, unique = i+2, true
			} else if i := s.find("UNIQUE", "("); i >= 0 {
				open, unique = i+1, true
			} else if s.find("EXCLUDE", "USING") >= 0 {
				unique = true
			}
		}
		if open < 0 {
			continue
		}
		for _, item := range s.list(open) {
			// A name alone, or with an operator class or an order after it; an expression has parentheses.
			if s.isName(item[0]) && !s.is(item[0]+1, "(") {
				columns = append(columns, s.name(item[0]))
			}
		}
	}
	return columns, unique
}
