package pgdump

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pgark/pgark/archive"
)

// errNotDefined says that a catalog does not have the definition of a table.
var errNotDefined = errors.New("its definition is not in the dump")

// columnFinder finds the columns of tables in definitions, in the order in which pg_dump reads the rows: that of the table in the
// database, which is not in each case that of the table which the definition makes. What is not certain is an error.
type columnFinder struct {
	dialect dialect
	tables  map[[2]string]*archive.Entry // nil where there are several of one name
	types   map[[2]string]*archive.Entry
	altered map[[2]string]bool // by a statement of its own, which pg_dump does not write
	roots   bool               // partitions are tables, as everywhere but in Greenplum up to 6, and their columns may stand otherwise
	open    map[*archive.Entry]bool
	found   map[*archive.Entry]foundColumns
}

type foundColumns struct {
	columns []tableColumn
	err     error
}

func newColumnFinder(cat *archive.Catalog, d dialect) *columnFinder {
	f := &columnFinder{
		dialect: d, tables: make(map[[2]string]*archive.Entry), types: make(map[[2]string]*archive.Entry),
		altered: make(map[[2]string]bool), open: make(map[*archive.Entry]bool),
		found: make(map[*archive.Entry]foundColumns),
	}
	for i := range cat.Entries {
		e := &cat.Entries[i]
		into := f.tables
		switch e.Kind {
		case kindTable, "FOREIGN TABLE":
			f.roots = f.roots || strings.Contains(e.DDL, " PARTITION OF ")
		case "TYPE":
			into = f.types
		case "TABLE ATTACH":
			f.roots = true
			continue
		case kindStatement:
			f.statement(e)
			continue
		default:
			continue
		}
		key := [2]string{e.Schema, e.Name}
		if _, twice := into[key]; twice {
			e = nil
		}
		into[key] = e
	}
	return f
}

// statement looks whether a statement that pg_dump does not write changes a table.
func (f *columnFinder) statement(e *archive.Entry) {
	r := newSQLReader([]byte(e.DDL), f.dialect.std, f.dialect.wide)
	if !r.skip("alter table") && !r.skip("alter foreign table") {
		return
	}
	r.skip("if exists")
	r.skip("only")
	if q, ok := r.qualified(); ok {
		if q.schema == "" {
			q.schema = e.Schema
		}
		f.altered[q.key()] = true
	}
}

// of gives the columns of a table.
func (f *columnFinder) of(schema, name string) ([]tableColumn, error) {
	e, ok := f.tables[[2]string{schema, name}]
	switch {
	case !ok:
		return nil, errNotDefined
	case e == nil:
		return nil, errors.New("there are several definitions of its name")
	case f.altered[[2]string{schema, name}]:
		return nil, errors.New("a statement that is not pg_dump's alters the table")
	case f.open[e]:
		return nil, fmt.Errorf("%w: it inherits from itself", ErrDamaged)
	}
	if x, ok := f.found[e]; ok {
		return x.columns, x.err
	}
	f.open[e] = true
	columns, err := f.parse(e)
	delete(f.open, e)
	f.found[e] = foundColumns{columns, err}
	return columns, err
}

// isGenerated tells whether a definition says that a column is generated, where the order of the columns may be uncertain.
func (f *columnFinder) isGenerated(schema, name, column string) bool {
	d, err := f.definition(f.tables[[2]string{schema, name}])
	if err != nil {
		return false
	}
	for _, c := range d.columns {
		if c.name == column && c.generated {
			return true
		}
	}
	for _, p := range d.parents {
		key := [2]string{p.schema, p.name}
		if e := f.tables[key]; e != nil && !f.open[e] {
			f.open[e] = true
			generated := f.isGenerated(p.schema, p.name, column)
			delete(f.open, e)
			if generated {
				return true
			}
		}
	}
	return false
}

// nameOf is the name of a table as its definition writes it; as pg_dump would, if there is none.
func (f *columnFinder) nameOf(schema, name string) string {
	if d, err := f.definition(f.tables[[2]string{schema, name}]); err == nil {
		return d.name.text
	}
	quoted := `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
	if schema == "" {
		return quoted
	}
	return `"` + strings.ReplaceAll(schema, `"`, `""`) + `".` + quoted
}

// parse gives the columns of a definition.
func (f *columnFinder) parse(e *archive.Entry) ([]tableColumn, error) {
	d, err := f.definition(e)
	switch {
	case err != nil:
		return nil, err
	case d.partitionOf:
		return nil, errors.New("its definition (PARTITION OF) has no columns: " +
			"those of the table that it is a partition of may stand in another order")
	case d.partitioned && f.roots:
		return nil, errors.New("they come from its partitions, whose columns may stand in another order")
	case d.ofType.name != "":
		return f.typeColumns(d.ofType)
	case len(d.parents) > 0:
		return f.inherited(d)
	}
	return d.columns, nil
}

// inherited gives the columns of a table that inherits some. pg_dump writes those in the definition that the table has also of its
// own, in the order of the table. Of the others it is known that they stand as in the parent only if there is one parent, and
// nothing else: a column that a parent was given later stands behind the table's own.
func (f *columnFinder) inherited(d *tableDefinition) ([]tableColumn, error) {
	own := make(map[string]int, len(d.columns))
	columns := append([]tableColumn(nil), d.columns...)
	for i := range columns {
		own[columns[i].name] = i
	}
	var above []tableColumn
	missing := 0
	for _, p := range d.parents {
		all, err := f.of(p.schema, p.name)
		if err != nil {
			return nil, fmt.Errorf("the columns of %s, which it inherits, are not known: %w", p.text, err)
		}
		above = all
		for _, c := range all {
			i, ok := own[c.name]
			switch {
			case !ok:
				missing++
			case c.generated: // the definition of the column need not say it again
				columns[i].generated = true
			}
		}
	}
	switch {
	case missing == 0:
		return columns, nil
	case len(columns) == 0 && len(d.parents) == 1:
		return above, nil
	}
	return nil, errors.New("pg_dump does not tell in which order columns stand that it inherits (INHERITS) and those of its own")
}

// typeColumns gives the columns of a table of a type, which stand as in that.
func (f *columnFinder) typeColumns(q qualified) ([]tableColumn, error) {
	e := f.types[q.key()]
	if e == nil {
		return nil, fmt.Errorf("the definition of %s, the type that it is of, is not in the dump", q.text)
	}
	r := newSQLReader([]byte(e.DDL), f.dialect.std, f.dialect.wide)
	name, ok := qualified{}, r.skip("create type")
	if ok {
		name, ok = r.qualified()
	}
	if !ok || name.name != e.Name || !r.skip("as") || !r.skipMark('(') {
		return nil, fmt.Errorf("the definition of %s, the type that it is of, is not as pg_dump writes it", q.text)
	}
	return r.definedColumns()
}
