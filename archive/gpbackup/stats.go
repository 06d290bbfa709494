package gpbackup

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pgark/pgark/archive"
)

const kindStatistics = "STATISTICS DATA"

// addStatistics adds an entry for the statistics of each table. gpbackup writes them as changes of the catalog, which only a superuser
// may make. So nothing of its SQL is taken over: it is read by its form, and written anew. What can't be read is left out: rows and
// definitions are whole without it.
func (s *Set) addStatistics(b *catalogBuilder) {
	if len(s.toc.Statistics) == 0 {
		return
	}
	var sql []byte
	path, err := s.files.find(fileKey{-1, s.config.Timestamp, 0, "statistics"})
	if err == nil {
		sql, err = readLimited(path, maxTOC)
	}
	if err != nil {
		s.desc.Warnings = append(s.desc.Warnings, fmt.Sprintf("the set's statistics are left out: %v; run ANALYZE after a restore", err))
		return
	}
	x := &statsBuilder{catalogBuilder: b, set: s, tables: make(map[string]*tableStats)}
	x.read(string(sql))
	for _, name := range x.order {
		x.add(name)
	}
	for _, left := range []struct {
		names []string
		why   string
	}{
		{x.strange, "statistics are left out that are not as gpbackup writes them, or of no table of the set; run ANALYZE for "},
		{x.bound, "statistics are left out whose column can't be told, or that name operators or types by numbers that are others in another database; run ANALYZE for "},
	} {
		if len(left.names) > 0 {
			s.desc.Warnings = append(s.desc.Warnings, left.why+someNames(left.names))
		}
	}
}

// statsBuilder makes entries of a set's statistics.
type statsBuilder struct {
	*catalogBuilder
	set     *Set
	tables  map[string]*tableStats // nil for those that are left out
	order   []string               // names of tables as the table of contents writes them
	strange []string               // tables that are left out
	bound   []string               // columns
}

// read takes the file apart. A piece that is not within the file, or overlaps the one before, is none.
func (x *statsBuilder) read(sql string) {
	at := int64(0)
	for i := range x.set.toc.Statistics {
		m := &x.set.toc.Statistics[i]
		name := m.Schema + "." + m.Name
		if x.exchanged[name] { // it has no rows of the database, and is gone once it is a partition
			continue
		}
		t, seen := x.tables[name]
		if !seen {
			t = &tableStats{}
			x.tables[name] = t
			x.order = append(x.order, name)
		}
		if t == nil {
			continue
		}
		known := x.relations[name] != 0 || x.data[name] != 0
		if m.Start < at || m.End < m.Start || m.End > int64(len(sql)) || !known || !t.readStats(sql[m.Start:m.End], name) {
			x.tables[name] = nil
			x.strange = append(x.strange, name)
			continue
		}
		at = m.End
	}
}

// add adds the entry of a table.
func (x *statsBuilder) add(name string) {
	t := x.tables[name]
	if t == nil {
		return
	}
	table, rows := x.relations[name], x.data[name]
	of := x.entry(max(table, rows))
	if table != 0 {
		of = x.entry(table)
	}
	sql := t.sql(name, x.named(name, t))
	if sql == "" {
		return
	}
	id := x.catalogBuilder.add(archive.Entry{
		Kind: kindStatistics, Schema: of.Schema, Name: of.Name, Owner: of.Owner, Section: archive.SectionPostData,
		DDL: archive.CatalogStatisticsMark + sql,
	})
	x.depend(id, table, rows)
}

// named gives the names of a table's columns by their numbers, and takes out columns whose statistics can't be carried over. Numbers
// have gaps where columns were dropped, and then are others in a table that is made anew. A name is "" where only the number is known.
func (x *statsBuilder) named(name string, t *tableStats) map[int]string {
	numbers := make([]int, 0, len(t.columns))
	for i := range t.columns {
		numbers = append(numbers, t.columns[i].number)
	}
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	names := make(map[int]string)
	columns := x.columnsOf(name)
	for i, n := range numbers {
		switch {
		case n < 1:
		case len(columns) == 0:
			names[n] = ""
		case len(columns) == len(numbers):
			names[n] = columns[i]
		case numbers[len(numbers)-1] <= len(columns):
			names[n] = columns[n-1]
		}
	}
	t.columns = slices.DeleteFunc(t.columns, func(c columnStats) bool {
		column, ok := names[c.number]
		if ok && c.portable() {
			return false
		}
		if column == "" {
			column = strconv.Itoa(c.number)
		}
		if text := name + "." + column; len(x.bound) == 0 || x.bound[len(x.bound)-1] != text { // it may have two rows
			x.bound = append(x.bound, text)
		}
		return true
	})
	return names
}

// columnsOf are the columns of a table; none if they can't be told.
func (x *statsBuilder) columnsOf(name string) []string {
	if streams := x.set.TableStreams(x.data[name]); x.relations[name] == 0 && len(streams) > 0 {
		return streams[0].Columns
	}
	return x.columns[name]
}

// The kinds of statistics that servers know, by the numbers that pg_statistic.h has for them. Extensions have others.
const (
	statsCommon         = 1
	statsHistogram      = 2
	statsCorrelation    = 3
	statsElements       = 4
	statsElementCount   = 5
	statsRangeLength    = 6
	statsRangeBounds    = 7
	statsDistinctAll    = 98 // Greenplum's
	statsDistinctSample = 99
)

// firstOwnOID is the first OID that is given to an object when a server or database is made: another one everywhere.
const firstOwnOID = 10000

// portable tells whether the statistics of a column mean the same in another database. Operators and collations are named by numbers.
func (c *columnStats) portable() bool {
	for i := range c.slots {
		s := &c.slots[i]
		if s.operator >= firstOwnOID || s.collation >= firstOwnOID {
			return false
		}
		if _, ok := s.elementType(); !ok {
			return false
		}
	}
	return true
}

// elementType is the type of what a slot holds, as SQL. gpbackup writes that of the column, which it is not always.
func (s *statsSlot) elementType() (sql string, ok bool) {
	switch s.kind {
	case statsElements:
		return "'pg_catalog.text'::pg_catalog.regtype", s.valueType == "" || s.valueType == "tsvector"
	case statsRangeLength:
		return "'pg_catalog.float8'::pg_catalog.regtype", true
	case statsDistinctAll, statsDistinctSample:
		return "'pg_catalog.bytea'::pg_catalog.regtype", true
	case 0, statsCommon, statsHistogram, statsCorrelation, statsElementCount, statsRangeBounds:
		return "a.atttypid", true
	}
	return "", false
}

// sql are statements that give a table these statistics. A column that the table has not, or has with another type, gets none: values of
// another type would mislead the planner, or worse.
func (t *tableStats) sql(table string, names map[int]string) string {
	class := literal(table) + "::pg_catalog.regclass"
	var b strings.Builder
	if t.pages != "" {
		fmt.Fprintf(&b, "UPDATE pg_catalog.pg_class SET relpages = %s, reltuples = %s WHERE oid = %s;\n", t.pages, t.tuples, class)
	}
	if len(t.columns) > 0 {
		fmt.Fprintf(&b, "DELETE FROM pg_catalog.pg_statistic WHERE starelid = %s;\n", class)
	}
	for i := range t.columns {
		c := &t.columns[i]
		column := "a.attname = " + literal(names[c.number])
		if names[c.number] == "" {
			column = fmt.Sprintf("a.attnum = %d", c.number)
		}
		fmt.Fprintf(&b, "INSERT INTO pg_catalog.pg_statistic SELECT %s\nFROM pg_catalog.pg_attribute a, pg_catalog.pg_type t\n"+
			"WHERE a.attrelid = %s AND %s AND t.oid = a.atttypid%s;\n", strings.Join(c.row(), ", "), class, column, c.typeCondition())
	}
	return b.String()
}

// typeCondition says which type the column must have.
func (c *columnStats) typeCondition() string {
	for i := range c.slots {
		if of := c.slots[i].valueType; of != "" {
			return " AND t.typname = " + literal(of)
		}
	}
	return ""
}

// row are the values of a row of pg_statistic.
func (c *columnStats) row() []string {
	row := []string{"a.attrelid", "a.attnum"}
	if c.inherit != "" {
		row = append(row, c.inherit)
	}
	row = append(row, c.nulls+"::real", c.width, c.values+"::real")
	each := func(value func(*statsSlot) string) {
		for i := range c.slots {
			row = append(row, value(&c.slots[i]))
		}
	}
	each(func(s *statsSlot) string { return strconv.Itoa(s.kind) + "::smallint" })
	each(func(s *statsSlot) string { return strconv.Itoa(s.operator) + "::oid" })
	if c.sorted {
		each(func(s *statsSlot) string { return strconv.Itoa(s.collation) + "::oid" })
	}
	each(func(s *statsSlot) string { return arrayLiteral(s.numbers) + "::real[]" })
	each(func(s *statsSlot) string {
		of, _ := s.elementType()
		if s.values == nil {
			return "NULL"
		}
		return "pg_catalog.array_in(" + arrayLiteral(s.values) + ", " + of + ", -1)"
	})
	return row
}

// literal writes a string for sessions with standard_conforming_strings.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// arrayLiteral writes an array; NULL for none.
func arrayLiteral(elements []string) string {
	if elements == nil {
		return "NULL"
	}
	quoted := make([]string, len(elements))
	for i, e := range elements {
		quoted[i] = `"` + strings.ReplaceAll(strings.ReplaceAll(e, `\`, `\\`), `"`, `\"`) + `"`
	}
	return literal("{" + strings.Join(quoted, ",") + "}")
}

// someNames lists names, if they are few, or some of them.
func someNames(names []string) string {
	const most = 10
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
