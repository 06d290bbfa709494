package pgdump

import (
	"errors"
	"fmt"

	"github.com/pgark/pgark/archive"
)

// tableDefinition is what CREATE TABLE says of a table's columns.
type tableDefinition struct {
	name        qualified
	columns     []tableColumn // that it names, in its order
	ofType      qualified     // OF
	parents     []qualified   // INHERITS
	partitionOf bool
	partitioned bool
}

// definition reads the definition of a table.
func (f *columnFinder) definition(e *archive.Entry) (*tableDefinition, error) {
	if e == nil {
		return nil, errNotDefined
	}
	odd := func() error { return fmt.Errorf("its definition is not as pg_dump writes it: %s", clip([]byte(e.DDL))) }
	r := newSQLReader([]byte(e.DDL), f.dialect.std, f.dialect.wide)
	if !r.skip("create") {
		return nil, odd()
	}
	r.skipAny("unlogged", "foreign")
	d := &tableDefinition{}
	ok := r.skip("table")
	if ok {
		d.name, ok = r.qualified()
	}
	if !ok || d.name.name != e.Name || d.name.schema != "" && d.name.schema != e.Schema {
		return nil, odd()
	}
	switch {
	case r.skip("partition of"):
		d.partitionOf = true
		return d, nil
	case r.skip("of"):
		if d.ofType, ok = r.qualified(); !ok {
			return nil, odd()
		}
		d.ofType = within(d.ofType, e.Schema)
	case r.skipMark('('):
		var err error
		if d.columns, err = r.definedColumns(); err != nil {
			return nil, err
		}
	default:
		return nil, odd()
	}
	if !r.afterColumns(d, e.Schema) {
		return nil, odd()
	}
	if r.changesColumns() {
		return nil, errors.New("statements behind its definition change its columns")
	}
	return d, nil
}

// within is a name as it is understood where a schema is the first of the search path, as in dumps before 2018.
func within(q qualified, schema string) qualified {
	if q.schema == "" {
		q.schema = schema
	}
	return q
}

// afterColumns reads what stands behind the columns, up to the end of the statement.
func (r *sqlReader) afterColumns(d *tableDefinition, schema string) bool {
	for {
		switch r.find("inherits", "partition") {
		case "":
			return true
		case "partition":
			r.next()
			d.partitioned = d.partitioned || r.at("by")
		case "inherits":
			r.next()
			if len(d.parents) > 0 || !r.skipMark('(') {
				return false
			}
			for {
				q, ok := r.qualified()
				if !ok {
					return false
				}
				d.parents = append(d.parents, within(q, schema))
				if r.skipMark(',') {
					continue
				}
				if !r.skipMark(')') {
					return false
				}
				break
			}
		}
	}
}

// changesColumns tells whether later statements of the definition add, drop or rename columns, as those of binary upgrades do.
func (r *sqlReader) changesColumns() bool {
	for ; r.t.kind != sqlEnd; r.next() {
		if r.at("add") || r.at("drop") || r.at("rename") {
			if r.next(); r.at("column") {
				return true
			}
		}
	}
	return false
}

// definedColumns reads the columns between the parentheses of a definition, behind the opening one.
func (r *sqlReader) definedColumns() ([]tableColumn, error) {
	if r.skipMark(')') {
		return nil, nil
	}
	var all []tableColumn
	for {
		constraint := r.at("constraint") || r.at("check") || r.at("not")
		if r.at("like") {
			return nil, errors.New("its definition has LIKE, which pg_dump does not write")
		}
		c := tableColumn{text: string(r.text())}
		var ok bool
		if c.name, ok = r.ident(); !ok {
			return nil, fmt.Errorf("a column of its definition has no name: %s", clip(r.sql[r.t.from:]))
		}
		generated, more, ok := r.restOfColumn()
		if !ok {
			return nil, errors.New("its definition has no end")
		}
		c.generated = generated
		if !constraint {
			all = append(all, c)
		}
		if !more {
			return all, nil
		}
	}
}

// restOfColumn goes to the comma or the parenthesis that ends a column of a definition, and passes it.
func (r *sqlReader) restOfColumn() (generated, more, ok bool) {
	for depth := 0; r.t.kind != sqlEnd; {
		switch {
		case r.atMark('('), r.atMark('['):
			depth++
		case depth > 0 && (r.atMark(')') || r.atMark(']')):
			depth--
		case depth == 0 && r.skipMark(','):
			return generated, true, true
		case depth == 0 && r.skipMark(')'):
			return generated, false, true
		case depth == 0 && r.skip("generated always as"):
			generated = generated || r.atMark('(')
			continue
		}
		r.next()
	}
	return false, false, false
}
