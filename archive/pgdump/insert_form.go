package pgdump

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/pgark/pgark/archive"
)

// dialect is how strings are written.
type dialect struct {
	std  bool // standard_conforming_strings
	wide wideEncoding
}

// insertForm is how the statements of one table look.
type insertForm struct {
	head     string        // with which each of them begins, up to VALUES; all of it if defaults is set
	defaults bool          // DEFAULT VALUES: no row has a value
	target   string        // the table as the statements name it; "" if there is no statement
	columns  []tableColumn // of the values of a row
	named    bool          // the statements name their columns
}

// tableColumn is a column of a table, as a statement or a definition has it.
type tableColumn struct {
	name      string
	text      string // as it is written: quoted where that is needed
	generated bool   // its values are DEFAULT in statements, and not in COPY text at all
}

// names are those of the columns that COPY text has.
func (f *insertForm) names() []string {
	var names []string
	for i := range f.columns {
		if !f.columns[i].generated {
			names = append(names, f.columns[i].name)
		}
	}
	return names
}

// copyStatement is the statement for the rows as COPY text, as pg_dump writes it.
func (f *insertForm) copyStatement() string {
	var list []string
	for i := range f.columns {
		if !f.columns[i].generated {
			list = append(list, f.columns[i].text)
		}
	}
	columns := ""
	if len(list) > 0 {
		columns = "(" + strings.Join(list, ", ") + ")"
	}
	return "COPY " + f.target + " " + columns + " FROM stdin;\n"
}

// parseInsertHead reads the beginning of a statement, which may be cut off behind that. Its columns are those that it names.
func parseInsertHead(text []byte, d dialect) (*insertForm, error) {
	odd := func() error {
		return fmt.Errorf("%w: pg_dump writes no statement like this: %s", ErrDamaged, clip(text))
	}
	r := newSQLReader(text, d.std, d.wide)
	if !r.skip("insert into") {
		return nil, odd()
	}
	target, ok := r.qualified()
	if !ok {
		return nil, odd()
	}
	f := &insertForm{target: target.text}
	want := "INSERT INTO " + target.text + " "
	if r.skipMark('(') {
		if f.columns, ok = r.namedColumns(); !ok {
			return nil, odd()
		}
		f.named = true
		texts := make([]string, len(f.columns))
		for i := range f.columns {
			texts[i] = f.columns[i].text
		}
		want += "(" + strings.Join(texts, ", ") + ") "
	}
	if r.skip("overriding system value") {
		want += "OVERRIDING SYSTEM VALUE "
	}
	if f.defaults = !f.named && r.skip("default"); f.defaults {
		want += "DEFAULT "
	}
	want += "VALUES"
	if !r.at("values") {
		return nil, odd()
	}
	end := r.t.to
	if f.defaults {
		want += ";"
		end++
	}
	if end > int64(len(text)) || string(text[:end]) != want {
		return nil, odd()
	}
	f.head = want
	return f, nil
}

// namedColumns reads a list of columns up to its closing parenthesis.
func (r *sqlReader) namedColumns() ([]tableColumn, bool) {
	var all []tableColumn
	for {
		text := string(r.text())
		name, ok := r.ident()
		if !ok {
			return nil, false
		}
		all = append(all, tableColumn{name: name, text: text})
		if !r.skipMark(',') {
			return all, r.skipMark(')')
		}
	}
}

const (
	// insertPeek is how much of a table's statements is looked at to find out their form.
	insertPeek = 16 << 10
	// insertPeekMost is the same where the form is not found in that: 1,600 columns have names of 63 bytes.
	insertPeekMost = 512 << 10
)

// peekInserts reads the form of the statements in r, and gives what it has read. The form is nil if there is no statement.
func peekInserts(r io.Reader, d dialect) (f *insertForm, text []byte, err error) {
	for _, most := range []int64{insertPeek, insertPeekMost} {
		more, err := io.ReadAll(io.LimitReader(r, most-int64(len(text))))
		if err != nil {
			return nil, nil, err
		}
		text = append(text, more...)
		switch {
		case len(text) == 0:
			return nil, nil, fmt.Errorf("%w: there are no statements, and not the line ends that follow them", ErrTruncated)
		case len(bytes.Trim(text, "\n")) == 0:
			return nil, text, nil
		}
		if f, err = parseInsertHead(text, d); err == nil || int64(len(text)) < most {
			return f, text, err
		}
	}
	return nil, nil, fmt.Errorf("%w: no statement that pg_dump writes begins like this: %s", ErrDamaged, clip(text))
}

// insertTables finds out how the rows of tables are written that are INSERT statements, and which columns they have.
type insertTables struct {
	dialect dialect
	columns *columnFinder
	forms   map[int32]*insertForm
	refused map[int32]error // why the rows of an entry can't be given
	reasons []string        // the same, for people
	ignore  bool            // the statements leave conflicts alone, which all of a dump do, or none
	sniffs  int             // tables that may still be looked at to find that out
}

func newInsertTables(cat *archive.Catalog, d dialect) *insertTables {
	return &insertTables{
		dialect: d, columns: newColumnFinder(cat, d), forms: make(map[int32]*insertForm), refused: make(map[int32]error), sniffs: 8,
	}
}

// add takes an entry whose statements open opens, and gives it the COPY statement that its rows have.
func (t *insertTables) add(e *archive.Entry, open func() (io.ReadCloser, error)) {
	f, err := t.form(e, open)
	if err != nil {
		t.refused[e.ID] = err
		if len(t.refused) <= mostReasons {
			t.reasons = append(t.reasons, fmt.Sprintf("table %s: %v", clip([]byte(strings.TrimPrefix(e.Schema+"."+e.Name, "."))), err))
		}
		return
	}
	t.forms[e.ID] = f
	e.Copy = f.copyStatement()
	e.Nulls &^= archive.NullCopy
}

func (t *insertTables) form(e *archive.Entry, open func() (io.ReadCloser, error)) (*insertForm, error) {
	r, err := open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	f, text, err := peekInserts(r, t.dialect)
	if err != nil {
		return nil, err
	}
	defined, why := t.columns.of(e.Schema, e.Name)
	switch {
	case f == nil: // no rows: it does not matter where a column stands
		f = &insertForm{target: t.emptyTarget(e), columns: defined}
		if why != nil {
			f.columns = nil
		}
		return f, nil
	case f.named:
		for i := range f.columns {
			f.columns[i].generated = t.columns.isGenerated(e.Schema, e.Name, f.columns[i].name)
		}
	case f.defaults && why != nil && errors.Is(why, errNotDefined): // the statements say all that there is to say
	case why != nil:
		return nil, fmt.Errorf("%w: they don't name their columns, and %w; dump it with pg_dump --column-inserts, "+
			"or restore it with pg_restore or psql", ErrInserts, why)
	default:
		f.columns = defined
	}
	if f.defaults && len(f.names()) > 0 {
		return nil, fmt.Errorf("%w: its rows have no values (DEFAULT VALUES), and its definition has columns", ErrDamaged)
	}
	if t.sniffs > 0 && !f.defaults {
		t.sniff(io.MultiReader(bytes.NewReader(text), io.LimitReader(r, sniffMost)), f)
	}
	return f, nil
}

// sniffMost is how far the end of a table's first statement is looked for, to find out whether the statements leave conflicts
// alone. If none of the first tables tells, nothing is said of it.
const sniffMost = 4 << 20

func (t *insertTables) sniff(r io.Reader, f *insertForm) {
	t.sniffs--
	x := newInsertReader(r, f, t.dialect, nil, func([]byte) error { return nil })
	if conflicts := x.statement(); x.err == nil {
		t.ignore, t.sniffs = conflicts, 0
	}
}

// emptyTarget is the table that the COPY statement of an entry without rows names: a partition's root where its rows would go
// through that.
func (t *insertTables) emptyTarget(e *archive.Entry) string {
	if line, ok := strings.CutPrefix(e.DDL, viaRootMark); ok {
		r := newSQLReader([]byte(line), t.dialect.std, t.dialect.wide)
		if q, ok := r.qualified(); ok && r.t.kind == sqlEnd {
			return q.text
		}
	}
	return t.columns.nameOf(e.Schema, e.Name)
}

// warnings are sentences on what differs from COPY.
func (t *insertTables) warnings() []string {
	var all []string
	if t.ignore {
		all = append(all, "the statements have ON CONFLICT DO NOTHING, which COPY text has not: "+
			"a row that is in a table already will be an error")
	}
	all = append(all, t.reasons...)
	if more := len(t.refused) - len(t.reasons); more > 0 {
		all = append(all, fmt.Sprintf("the rows of %d more tables can't be read", more))
	}
	return all
}

// mostReasons bounds how many tables are named whose rows can't be read.
const mostReasons = 10
