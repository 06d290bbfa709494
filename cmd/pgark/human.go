package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// humanBytes writes a number of bytes with three digits or so, in powers of ten.
func humanBytes(n uint64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return strconv.FormatUint(n, 10) + " B"
	}
	v, i := float64(n)/1000, 0
	for v >= 999.95 && i < len(units)-1 {
		v /= 1000
		i++
	}
	return fmt.Sprintf("%.1f %cB", v, units[i])
}

// humanCount groups digits: 1,234,567.
func humanCount(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// humanDuration leaves out digits that nobody reads.
func humanDuration(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d:%02d min", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d:%02d h", int(d.Hours()), int(d.Minutes())%60)
}

// humanTime is a time to the second, or to less. Dumps of other programs need not tell theirs.
func humanTime(t time.Time, layout string) string {
	if t.IsZero() {
		return "unknown"
	}
	return t.Format(layout)
}

// plural is "1 table", "2 tables".
func plural(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return humanCount(n) + " " + noun + "s"
}

// quoteArg shows what the user typed.
func quoteArg(s string) string { return strconv.Quote(s) }

// visible makes a name fit for one line of a terminal: control characters are escaped.
func visible(s string) string {
	if strings.IndexFunc(s, unprintable) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unprintable(r) {
			q := strconv.QuoteRune(r)
			b.WriteString(q[1 : len(q)-1])
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) && r != ' ' }

// writeJSON prints one value as indented JSON. Names are shown as they are, without HTML escapes.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// columns lays rows out under aligned headings. A heading that starts with > is of a column of numbers, aligned right.
type columns struct {
	head  []string
	right []bool
	rows  [][]string
}

func newColumns(head ...string) *columns {
	c := &columns{right: make([]bool, len(head))}
	for i, h := range head {
		h, c.right[i] = strings.CutPrefix(h, ">")
		c.head = append(c.head, h)
	}
	return c
}

func (c *columns) add(cells ...string) { c.rows = append(c.rows, cells) }

// write prints the heading and the rows. The last column is not padded.
func (c *columns) write(w io.Writer) error {
	width := make([]int, len(c.head))
	for _, row := range append([][]string{c.head}, c.rows...) {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range append([][]string{c.head}, c.rows...) {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if i > 0 {
				b.WriteString("  ")
			}
			if c.right[i] {
				b.WriteString(pad + cell)
			} else {
				b.WriteString(cell + pad)
			}
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(b.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}
