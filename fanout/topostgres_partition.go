package fanout

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// partitionClause is PARTITION BY ... ( ... ) of Greenplum 6, with its levels.
type partitionClause struct {
	levels []partitionLevel
	spec   int // token of the parenthesis that opens the partitions
}

// partitionLevel is how the tables of one level are divided.
type partitionLevel struct {
	method  string // RANGE, LIST
	columns []string
	keys    string // as written, without parentheses
}

// partition is one partition, or subpartition, with those inside it.
type partition struct {
	table        string // its name
	bound        string // FOR VALUES ..., DEFAULT
	options      []string
	tablespace   string // as written
	low, high    bool   // of a range: has a START, an END
	byDefault    bool
	parts        []*partition
	unfit        string // why PostgreSQL can't have it
	subpartition int    // token that opens those inside it, 0 if there are none
}

// partitionBy reads the clause at token i. What has no partitions inside is PostgreSQL's own, and stays.
func (d *tableDDL) partitionBy(i int) (next int) {
	s, from := d.s, i
	c := &partitionClause{}
	for s.is(i, "PARTITION", "BY") || s.is(i, "SUBPARTITION", "BY") {
		open := i + 3
		if !s.is(open, "(") {
			return from + 2
		}
		level := partitionLevel{method: strings.ToUpper(s.text(i + 2)), keys: s.inner(open)}
		for _, item := range s.list(open) {
			level.columns = append(level.columns, s.name(item[0]))
		}
		c.levels = append(c.levels, level)
		i = s.closing(open) + 1
		if s.is(i, "SUBPARTITION", "TEMPLATE", "(") {
			i = s.closing(i+2) + 1
		}
	}
	if !s.is(i, "(") {
		d.native = true
		return i
	}
	c.spec = i
	d.partition, d.clause = c, [2]int{from, s.closing(i)}
	return d.clause[1] + 1
}

// keys are the columns that divide the table, on all levels.
func (c *partitionClause) keys() []string {
	var all []string
	for _, l := range c.levels {
		all = append(all, l.columns...)
	}
	return all
}

// partitions gives the statements that make the partitions, and has the root say how it is divided; or why PostgreSQL
// can't have them, and then nothing is changed.
func (d *tableDDL) partitions() (statements []string, unfit string) {
	c := d.partition
	for _, l := range c.levels {
		switch {
		case l.method != "RANGE" && l.method != "LIST":
			return nil, "partitions by " + strings.ToLower(l.method) + " are not known"
		case len(l.columns) != 1:
			return nil, "PostgreSQL has no lists of several columns"
		}
	}
	parts, unfit := d.readPartitions(c.spec, 0)
	if unfit != "" {
		return nil, unfit
	}
	key := partitionKey(c.levels[0])
	if d.space != [2]int{} && d.space[0] < d.clause[0] { // as gpbackup has it
		key += " TABLESPACE " + d.s.text(d.space[1])
		d.s.cut(d.space[0], d.space[1])
	}
	d.s.replace(d.clause[0], d.clause[1], key)
	if d.with != [2]int{} {
		d.s.cut(d.with[0], d.with[1]) // storage is the partitions'
	}
	if d.unlogged {
		for i := range d.s.tokens {
			if d.s.is(i, "UNLOGGED") {
				d.s.cut(i, i)
				break
			}
		}
	}
	for _, p := range parts {
		statements = d.appendPartition(statements, p, d.name, 0)
	}
	return statements, ""
}

func partitionKey(l partitionLevel) string {
	return "PARTITION BY " + l.method + " (" + l.keys + ")"
}

func (d *tableDDL) appendPartition(all []string, p *partition, parent string, level int) []string {
	var b strings.Builder
	b.WriteString("CREATE ")
	if d.unlogged && len(p.parts) == 0 {
		b.WriteString("UNLOGGED ")
	}
	name := d.schema + quoteID(p.table)
	b.WriteString("TABLE " + name + " PARTITION OF " + parent + " " + p.bound)
	if len(p.parts) > 0 {
		b.WriteString(" " + partitionKey(d.partition.levels[level+1]))
	} else if options := p.options; len(options) > 0 {
		b.WriteString(" WITH (" + strings.Join(options, ", ") + ")")
	}
	if p.tablespace != "" {
		b.WriteString(" TABLESPACE " + p.tablespace)
	}
	all = append(all, b.String())
	for _, child := range p.parts {
		all = d.appendPartition(all, child, name, level+1)
	}
	return all
}

// readPartitions reads the partitions in the parentheses at open.
func (d *tableDDL) readPartitions(open, level int) (parts []*partition, unfit string) {
	items := d.s.list(open)
	for _, item := range items {
		p, ok := d.readPartition(item[0], item[1], level)
		switch {
		case !ok:
			return nil, "their partition clause is not understood"
		case p.unfit != "":
			return nil, p.unfit
		case p.subpartition != 0 && level+1 >= len(d.partition.levels):
			return nil, "their partition clause is not understood"
		case p.subpartition != 0:
			if p.parts, unfit = d.readPartitions(p.subpartition, level+1); unfit != "" {
				return nil, unfit
			}
		}
		parts = append(parts, p)
	}
	if d.partition.levels[level].method == "RANGE" && !openEndsOutside(parts) {
		return nil, "their ranges without START or END may overlap others"
	}
	return parts, ""
}

// openEndsOutside tells whether only the first range begins, and only the last one ends, nowhere.
func openEndsOutside(parts []*partition) bool {
	var ranges []*partition
	for _, p := range parts {
		if !p.byDefault {
			ranges = append(ranges, p)
		}
	}
	for i, p := range ranges {
		if !p.low && i > 0 || !p.high && i < len(ranges)-1 {
			return false
		}
	}
	return true
}

// readPartition reads the tokens from i to before end.
func (d *tableDDL) readPartition(i, end, level int) (*partition, bool) {
	s, p := d.s, &partition{}
	r := rangeBounds{kind: d.columns[d.partition.levels[level].columns[0]], low: "MINVALUE", high: "MAXVALUE"}
	if s.is(i, "DEFAULT") {
		p.byDefault = true
		i++
	}
	if s.isAny(i, "PARTITION", "SUBPARTITION") && s.isName(i+1) {
		i += 2
	}
	for i < end {
		next := i + 1
		switch {
		case s.is(i, "VALUES", "("):
			p.bound = "FOR VALUES IN (" + s.inner(i+1) + ")"
			next = s.closing(i+1) + 1
		case s.is(i, "START", "("):
			next, p.low = s.closing(i+1)+1, true
			r.low = r.side(s.inner(i+1), s.is(next, "EXCLUSIVE"))
		case s.is(i, "END", "("):
			next, p.high = s.closing(i+1)+1, true
			r.high = r.side(s.inner(i+1), s.is(next, "INCLUSIVE"))
		case s.is(i, "EVERY", "("):
			next = s.closing(i+1) + 1
		case s.is(i, "WITH", "("):
			p.table, p.options = d.leafOptions(i + 1)
			next = s.closing(i+1) + 1
		case s.is(i, "TABLESPACE") && s.isName(i+1):
			p.tablespace = s.text(i + 1)
			next = i + 2
		case s.is(i, "COLUMN") && s.isName(i+1) && s.is(i+2, "ENCODING", "("):
			next = s.closing(i+3) + 1
		case s.is(i, "("):
			p.subpartition = i
			next = s.closing(i) + 1
		case s.isAny(i, "INCLUSIVE", "EXCLUSIVE"):
		default:
			return nil, false
		}
		i = next
	}
	switch {
	case p.byDefault:
		p.bound = "DEFAULT"
	case p.low || p.high:
		p.bound, p.unfit = "FOR VALUES FROM ("+r.low+") TO ("+r.high+")", r.unfit
	}
	return p, p.table != "" && p.bound != "" && i == end
}

// leafOptions reads the WITH clause of a partition: its name, and the options that PostgreSQL knows.
func (d *tableDDL) leafOptions(open int) (table string, keep []string) {
	s := d.s
	for _, item := range s.list(open) {
		last := item[1] - 1
		switch name := s.name(item[0]); {
		case name == "tablename":
			table = literalText(s.text(last))
		case name == "fillfactor":
			keep = append(keep, s.sql[s.tokens[item[0]].from:s.tokens[last].to])
		}
	}
	return table, keep
}

// literalText is what a string literal says.
func literalText(text string) string {
	inner, escapes := strings.CutPrefix(text, "E")
	inner = strings.TrimSuffix(strings.TrimPrefix(inner, "'"), "'")
	inner = strings.ReplaceAll(inner, "''", "'")
	if escapes {
		inner = strings.ReplaceAll(inner, `\\`, `\`)
	}
	return inner
}

// rangeBounds are the two sides of a range: PostgreSQL's begin with their START and end before their END.
type rangeBounds struct {
	kind      string // first word of the column's type
	low, high string
	unfit     string
}

// side is one side. To begin after a value, or to end with it, is to begin or end at the next one, for types that have
// a next one.
func (r *rangeBounds) side(value string, next bool) string {
	if !next {
		return value
	}
	if v, ok := nextValue(r.kind, value); ok {
		return v
	}
	r.unfit = "PostgreSQL has no ranges without their START or with their END"
	return value
}

func nextValue(kind, value string) (string, bool) {
	limit := map[string]int64{"smallint": math.MaxInt16, "integer": math.MaxInt32, "bigint": math.MaxInt64}[kind]
	text, _, _ := strings.Cut(value, "::")
	text = strings.Trim(text, "()' ")
	if limit != 0 {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n >= limit {
			return "", false
		}
		return strconv.FormatInt(n+1, 10), true
	}
	if kind == "date" && isISODate(text) {
		return fmt.Sprintf("'%s'::date + 1", text), true
	}
	return "", false
}

// isISODate tells whether the text is a date of four, two and two digits.
func isISODate(text string) bool {
	parts := strings.Split(text, "-")
	return len(parts) == 3 && len(parts[0]) == 4 && len(parts[1]) == 2 && len(parts[2]) == 2 && isNumber(strings.Join(parts, ""))
}
