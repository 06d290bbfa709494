package fanout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/pgark/pgark/archive"
)

// lookIntoRows refuses rows that name objects in a redirected schema, as values of types like regclass do: the server would take them for
// the objects in the old schema, if there are any. It reads the tables that have columns of such types, and no others; rows that are
// not here can't be read, and are refused.
func (p *Plan) lookIntoRows(ctx context.Context, src Source) error {
	var lost []RedirectedObject
	for i := range p.named {
		e := p.named[i].data
		o := RedirectedObject{Object: p.oldName(e)}
		var err error
		for _, name := range slices.Sorted(maps.Keys(p.Options.Redirect)) {
			switch {
			case src == nil:
				o.Why = "it has columns of a type like regclass, whose values name objects by their schema, and its rows are on other hosts"
			case o.Why == "":
				var found bool
				if found, err = rowsHold(ctx, src, e.ID, name, p.named[i].bare); found {
					o.Why = "it has columns of a type like regclass, and rows with the name " + quoteID(name) + " in them"
				}
			}
			if err != nil {
				return fmt.Errorf("look for names of schemas in the rows of %s: %w", o.Object, err)
			}
		}
		if o.Why != "" {
			lost = append(lost, o)
		}
	}
	if len(lost) > 0 {
		return &RedirectError{Objects: lost}
	}
	return nil
}

var errFound = errors.New("found")

// rowsHold tells whether the rows of an entry may have the name of a schema in them, in front of another name or, if bare, by itself. It
// keeps no more than the end of a piece.
func rowsHold(ctx context.Context, src Source, entry int32, name string, bare bool) (bool, error) {
	part := []byte(longestWord(foldASCII(name)))
	whole := string(part) == foldASCII(name)
	var window []byte
	err := src.Rows(ctx, entry, func(text []byte) error {
		window = append(window, foldASCII(string(text))...)
		for at := 0; ; at++ {
			i := bytes.Index(window[at:], part)
			if i < 0 {
				break
			}
			at += i
			if !whole || namesSchema(window, at, at+len(part), bare) {
				return errFound
			}
		}
		// A name may be cut in two: with the byte before it, and the one after it.
		window = append(window[:0], window[max(0, len(window)-len(part)-1):]...)
		return nil
	})
	if errors.Is(err, errFound) {
		return true, nil
	}
	return false, err
}

// namesSchema tells whether a word in COPY text can be the name of a schema: a dot, a quote or a backslash before one follows.
func namesSchema(text []byte, from, to int, bare bool) bool {
	if from > 0 && isWordPart(text[from-1]) && text[from-1] != '$' {
		// A letter may be the end of an escape: \nold is a new line and a name.
		if from < 2 || text[from-2] != '\\' {
			return false
		}
	}
	if to == len(text) {
		return false // seen again with what follows
	}
	return bytes.IndexByte([]byte(`."\`), text[to]) >= 0 || bare && !isWordPart(text[to])
}

// longestWord is the longest run of letters, digits and the like.
func longestWord(name string) string {
	var longest string
	for from := 0; from < len(name); {
		to := from
		for to < len(name) && isWordPart(name[to]) {
			to++
		}
		if to-from > len(longest) {
			longest = name[from:to]
		}
		from = to + 1
	}
	return longest
}

// contentSource is what a restore reads, as the source of a script; nil if the rows are elsewhere.
func (r *restoreRun) contentSource() Source {
	switch a := r.content.(type) {
	case *archive.Reader:
		if r.opts.Remote == nil {
			return ArchiveSource(a)
		}
	case archive.Source:
		return ForeignSource(a)
	}
	return nil
}

// regNames says how values of a table's columns name schemas.
type regNames uint8

const (
	regDotted regNames = 1 // in front of another name: regclass
	regBare   regNames = 2 // also by itself: regnamespace
)

// namedRows are rows whose values may name schemas.
type namedRows struct {
	data *archive.Entry
	bare bool
}

// regCarriers finds the tables with columns of types like regclass, also inside arrays, domains, composite types, multiranges and rows of
// tables and views. The text of their values names objects with their schemas.
func regCarriers(cat *archive.Catalog, std bool) map[tableName]regNames {
	carriers := make(map[tableName]regNames)
	type named struct {
		name  tableName
		parts []tableName // the names in its definition
	}
	var open []named
	for i := range cat.Entries {
		e := &cat.Entries[i]
		switch e.Kind {
		case kindTable, "FOREIGN TABLE", "TYPE", "DOMAIN", "VIEW", "MATERIALIZED VIEW":
		default:
			continue
		}
		name := tableName{e.Schema, e.Name}
		parts, carries := definitionNames(e, std)
		if carries > 0 {
			carriers[name] = carries
		}
		open = append(open, named{name, parts})
		if e.Kind == "TYPE" {
			for _, s := range lexStatements(e.DDL, std) {
				if multi, ok := s.multirange(); ok {
					open = append(open, named{multi, []tableName{name}})
				}
			}
		}
	}
	for again := len(carriers) > 0; again; {
		again = false
		for _, x := range open {
			for _, part := range x.parts {
				if of := max(carriers[part], carriers[x.name]); of > carriers[x.name] {
					carriers[x.name], again = of, true
				}
			}
		}
	}
	return carriers
}

// definitionNames are the names in a definition that may be types, and whether one of them is like regclass. What follows :: is a cast
// in an expression, and the type of a column only in the query of a view.
func definitionNames(e *archive.Entry, std bool) (names []tableName, carries regNames) {
	w := &renamer{statement: statement{sql: e.DDL, tokens: lexSQL(e.DDL, std)}}
	view, inherits := e.Kind == "VIEW" || e.Kind == "MATERIALIZED VIEW", false
	for i := 0; i < len(w.tokens); {
		if !w.isName(i) {
			i++
			continue
		}
		c := w.chain(i)
		inherits = inherits || w.word(i, "INHERITS")
		if !w.mark(i-1, ".") && (view || !w.mark(i-1, ":") || !w.mark(i-2, ":")) && i > 0 {
			last := w.ident(i + 2*(c.parts-1))
			switch {
			case last == "regnamespace" && (c.parts == 1 || c.parts == 2 && w.ident(i) == "pg_catalog"):
				carries = regBare
			case isRegType(last) && (c.parts == 1 || c.parts == 2 && w.ident(i) == "pg_catalog"):
				carries = max(carries, regDotted)
			case c.parts == 1 && !view && !inherits && w.tokens[i].depth == 1 && (w.mark(i-1, "(") || w.mark(i-1, ",")): // a column, which may be called as a view is
			case c.parts == 1:
				names = append(names, tableName{e.Schema, last})
			case c.parts == 2:
				names = append(names, tableName{w.ident(i), last})
			}
		}
		i = c.next
	}
	return names, carries
}
