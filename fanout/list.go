package fanout

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/pgark/pgark/archive"
)

// ListOptions is what [ListTOC] prints besides the entries, and which of those it prints.
type ListOptions struct {
	PlanOptions           // only what they select is listed
	Created     time.Time // printed in its own location
	Compression string    // "zstd"
	Format      string    // "PGARK"; of stock archives "CUSTOM", "DIRECTORY", "TAR"
	IntSize     int       // bytes; 4 if 0
	OffsetSize  int       // bytes; 8 if 0
}

// ListTOC writes the entries as pg_restore --list does, for people and for [ParseList].
func ListTOC(w io.Writer, cat *archive.Catalog, o ListOptions) error {
	plan, err := NewPlan(cat, o.PlanOptions)
	if err != nil {
		return err
	}
	b := &strings.Builder{}
	fmt.Fprintf(b, ";\n; Archive created at %s\n", o.Created.Format("2006-01-02 15:04:05 MST"))
	fmt.Fprintf(b, ";     dbname: %s\n", sanitizeLine(cat.Database))
	fmt.Fprintf(b, ";     TOC Entries: %d\n", len(cat.Entries))
	fmt.Fprintf(b, ";     Compression: %s\n", o.Compression)
	fmt.Fprintf(b, ";     Dump Version: %s-0\n", cat.TOCVersion)
	fmt.Fprintf(b, ";     Format: %s\n", o.Format)
	fmt.Fprintf(b, ";     Integer: %d bytes\n", cmp.Or(o.IntSize, 4))
	fmt.Fprintf(b, ";     Offset: %d bytes\n", cmp.Or(o.OffsetSize, 8))
	fmt.Fprintf(b, ";     Dumped from database version: %s\n", sanitizeLine(cat.ServerVersion))
	fmt.Fprintf(b, ";     Dumped by pg_dump version: %s\n", sanitizeLine(cat.PgDumpVersion))
	fmt.Fprintf(b, ";\n;\n; Selected TOC Entries:\n;\n")
	for _, e := range plan.order {
		if plan.wanted[e.ID].any() {
			fmt.Fprintln(b, listLine(e))
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write the list: %w", err)
	}
	return nil
}

// listLine is an entry's line of a list: ID; catalog and object OID, kind, schema, name, owner.
func listLine(e *archive.Entry) string {
	return fmt.Sprintf("%d; %d %d %s %s %s %s", e.ID, e.TableOID, e.OID, sanitizeLine(e.Kind),
		sanitizeOr(e.Schema, e.Nulls&archive.NullSchema != 0), sanitizeLine(e.Name), sanitizeLine(e.Owner))
}

// maxListLine bounds a line of a list, most of which is a name.
const maxListLine = 1 << 20

// ParseList reads a list as pg_restore --use-list does: each line begins with the ID of an entry, everything from a
// semicolon on is a comment, and the order of the lines is the order of the restore. An ID that comes again is ignored.
//
// Unlike pg_restore, it does not ignore lines that it does not understand: what they were meant to name would be missing.
func ParseList(r io.Reader) ([]int32, error) {
	list := []int32{}
	seen := make(map[int32]bool)
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxListLine)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), ";")
		fields := strings.Fields(text)
		if len(fields) == 0 {
			continue
		}
		id, err := strconv.ParseInt(fields[0], 10, 32)
		if err != nil || id <= 0 {
			return nil, fmt.Errorf("%w: line %d of the list does not begin with the number of an entry: %.60q", ErrUsage, n, lines.Text())
		}
		if !seen[int32(id)] {
			seen[int32(id)] = true
			list = append(list, int32(id))
		}
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return nil, fmt.Errorf("%w: the list has a line of more than %d bytes", ErrUsage, maxListLine)
		}
		return nil, fmt.Errorf("read the list: %w", err)
	}
	return list, nil
}
