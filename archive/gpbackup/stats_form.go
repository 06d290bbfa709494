package gpbackup

import (
	"strconv"
	"strings"
)

// tableStats are a table's statistics.
type tableStats struct {
	pages, tuples string // of pg_class; "" if they are not told
	columns       []columnStats
}

// columnStats are a row of pg_statistic. Numbers are as they were written.
type columnStats struct {
	number  int    // of the column, where the set was made
	inherit string // true or false; "" before Greenplum 6, which has no such column
	nulls   string
	width   string
	values  string // how many distinct ones
	slots   []statsSlot
	sorted  bool // slots have collations, from Greenplum 7 on
}

// statsSlot is one of the kinds of statistics that a column has.
type statsSlot struct {
	kind                int
	operator, collation int
	numbers             []string
	values              []string
	valueType           string // of the column, by its name without the schema; "" without values
}

// form reads statements that have exactly the form in which gpbackup writes them.
type form struct {
	rest string
	bad  bool // it has another one
}

// readStats adds what SQL says of the statistics of a table, whose name is written as SQL wants it. It reports whether all of it has
// the form that gpbackup writes: what has not may be any statement, and must not be carried out.
func (t *tableStats) readStats(sql, table string) bool {
	named := "'" + strings.ReplaceAll(table, "'", "''") + "'::regclass::oid"
	f := &form{rest: strings.TrimSpace(sql)}
	for f.rest != "" && !f.bad {
		switch {
		case strings.HasPrefix(f.rest, "UPDATE "):
			f.words("UPDATE pg_class\nSET\n\trelpages = ")
			t.pages = f.number()
			f.words("::int,\n\treltuples = ")
			t.tuples = f.number()
			f.words("::real\nWHERE oid = " + named + ";")
		case strings.HasPrefix(f.rest, "DELETE "):
			f.words("DELETE FROM pg_statistic WHERE starelid = " + named + " AND staattnum = ")
			f.integer()
			f.words(";")
		default:
			f.words("INSERT INTO pg_statistic VALUES (\n\t" + named + ",\n\t")
			t.columns = append(t.columns, f.column())
		}
		f.rest = strings.TrimSpace(f.rest)
	}
	return !f.bad
}

// words takes a text.
func (f *form) words(text string) {
	rest, ok := strings.CutPrefix(f.rest, text)
	f.bad = f.bad || !ok
	f.rest = rest
}

// has takes a text if it comes next.
func (f *form) has(text string) bool {
	rest, ok := strings.CutPrefix(f.rest, text)
	if ok {
		f.rest = rest
	}
	return ok
}

// number takes one as %d and %f write it.
func (f *form) number() string {
	n := numberLength(f.rest)
	f.bad = f.bad || n == 0
	number := f.rest[:n]
	f.rest = f.rest[n:]
	return number
}

func (f *form) integer() int {
	n, err := strconv.Atoi(f.number())
	f.bad = f.bad || err != nil
	return n
}

// numberLength is how many bytes -12.5 takes at the beginning, 0 if there is no number.
func numberLength(s string) int {
	digits := func(from int) int {
		for from < len(s) && s[from] >= '0' && s[from] <= '9' {
			from++
		}
		return from
	}
	from := 0
	if strings.HasPrefix(s, "-") {
		from = 1
	}
	end := digits(from)
	if end == from {
		return 0
	}
	if end < len(s) && s[end] == '.' {
		if more := digits(end + 1); more > end+1 {
			return more
		}
	}
	return end
}

// column takes the values of a row of pg_statistic but the first one, which is the table.
func (f *form) column() columnStats {
	const between = ",\n\t"
	c := columnStats{number: f.integer()}
	f.words("::smallint" + between)
	for _, b := range []string{"true", "false"} {
		if f.has(b + "::boolean" + between) {
			c.inherit = b
		}
	}
	c.nulls = f.number()
	f.words("::real" + between)
	c.width = f.number()
	f.words("::integer" + between)
	c.values = f.number()
	f.words("::real")
	count := 5 // slots
	if c.inherit == "" {
		count = 4
	}
	c.slots = make([]statsSlot, count)
	each := func(take func(s *statsSlot)) {
		for i := range c.slots {
			f.words(between)
			take(&c.slots[i])
		}
	}
	each(func(s *statsSlot) { s.kind = f.integer(); f.words("::smallint") })
	each(func(s *statsSlot) { s.operator = f.integer(); f.words("::oid") })
	if c.sorted = c.inherit != "" && !strings.HasPrefix(f.rest, between+"NULL") && !strings.HasPrefix(f.rest, between+"'"); c.sorted {
		each(func(s *statsSlot) { s.collation = f.integer(); f.words("::oid") })
	}
	each(func(s *statsSlot) {
		if s.numbers = f.array(); s.numbers != nil {
			for _, n := range s.numbers {
				f.bad = f.bad || !isReal(n)
			}
		}
		f.words("::real[]")
	})
	each(func(s *statsSlot) {
		if !f.has("array_in(") {
			f.words("NULL")
			return
		}
		s.values = f.array()
		f.bad = f.bad || s.values == nil
		f.words(", '")
		n := nameLength(f.rest)
		s.valueType = unquote(f.rest[:n])
		f.bad = f.bad || n == 0 || strings.Contains(s.valueType, "'")
		f.rest = f.rest[n:]
		f.words("'::regtype::oid, -1)")
	})
	f.words(");")
	return c
}

// isReal tells a number as the server writes real.
func isReal(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil && strings.Trim(s, "0123456789.eE+-NaInfity") == ""
}

// array takes '{"a","b"}', in which the elements are strings of Go, or NULL.
func (f *form) array() []string {
	if f.has("NULL") {
		return nil
	}
	if !strings.HasPrefix(f.rest, "'{") {
		f.bad = true
		return nil
	}
	n := quotedLength(f.rest, '\'', false)
	text, ok := strings.CutSuffix(f.rest[2:n], "}'")
	f.rest = f.rest[n:]
	text = strings.ReplaceAll(text, "''", "'")
	var all []string
	for ok {
		quoted, err := strconv.QuotedPrefix(text)
		if err != nil || quoted[0] != '"' {
			break
		}
		element, err := strconv.Unquote(quoted)
		if err != nil {
			break
		}
		all = append(all, element)
		if text = text[len(quoted):]; text == "" {
			return all
		}
		text, ok = strings.CutPrefix(text, ",")
	}
	f.bad = true
	return nil
}
