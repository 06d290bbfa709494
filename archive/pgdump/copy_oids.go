package pgdump

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// Tables of servers before version 12 can have a column that is none, which COPY ... WITH OIDS writes before all others (pg_dump -o). No server
// since has one, nor does pgark's archive: such rows are read without it, and as rows of a statement without that clause.

// oidsClause ends a statement as pg_dump writes it. No name in quotes can end so.
const oidsClause = " WITH OIDS FROM stdin;"

func hasOIDs(statement string) bool {
	return strings.HasSuffix(strings.TrimSpace(statement), oidsClause)
}

// withoutOIDs is a statement as pg_dump writes it, without the clause.
func withoutOIDs(statement string) string {
	if !hasOIDs(statement) {
		return statement
	}
	return strings.TrimSuffix(strings.TrimSpace(statement), oidsClause) + " FROM stdin;\n"
}

// oidsWarning says that the rows of some tables come without their OIDs; "" for none.
func oidsWarning(tables int) string {
	if tables == 0 {
		return ""
	}
	return fmt.Sprintf("the rows of %d tables have OIDs, which servers from version 12 on don't have: they are read without (convert --as-is keeps them)", tables)
}

// oidCutter takes the first field off rows that come in pieces.
type oidCutter struct {
	fn     func(text []byte) error
	within bool // the first field has been passed, and the row has not ended
	out    []byte
}

func (c *oidCutter) write(text []byte) error {
	c.out = c.out[:0]
	for len(text) > 0 {
		if !c.within {
			end := bytes.IndexAny(text, "\t\n")
			if end < 0 {
				break
			}
			c.within = true
			if text[end] == '\t' { // the only field has its line end left
				end++
			}
			text = text[end:]
			continue
		}
		n := bytes.IndexByte(text, '\n') + 1
		c.within = n == 0
		if c.within {
			n = len(text)
		}
		c.out = append(c.out, text[:n]...)
		text = text[n:]
	}
	if len(c.out) == 0 {
		return nil
	}
	return c.fn(c.out)
}

// RawCatalog is a catalog of the archive with the COPY statements that its data was written for, as [Writer.Copy] needs it: those of
// [Dump.Catalog] are for rows that are read.
func (d *Dump) RawCatalog(cat *archive.Catalog) *archive.Catalog {
	c := *cat
	c.Entries = slices.Clone(cat.Entries)
	for i := range c.Entries {
		e := &c.Entries[i]
		if raw := d.entries[e.ID]; raw != nil {
			e.Copy = raw.Copy
			e.Nulls = e.Nulls&^archive.NullCopy | raw.Nulls&archive.NullCopy
		}
	}
	return &c
}
