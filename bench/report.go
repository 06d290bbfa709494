package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// report is the table of one section.
type report struct {
	title  string
	base   string // the case that the ratios refer to, "" for none
	second string // another one
	rows   []row
	notes  []string
}

type row struct {
	name string
	sample
}

func (r *report) add(name string, s sample) { r.rows = append(r.rows, row{name, s}) }

func (r *report) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// wanted notes a ratio beside what it is meant to be at most.
func (r *report) wanted(name, base, what string, limit float64) {
	this, ok1 := r.find(name)
	that, ok2 := r.find(base)
	if !ok1 || !ok2 {
		return
	}
	r.note("%s / %s: %s %.2f (wanted: at most %g)", name, base, what, ratio(this, that, what), limit)
}

// bound notes how much faster than a case two cores can be at best that are never idle, and need no CPU more than it.
func (r *report) bound(name string) {
	if s, ok := r.find(name); ok && s.all > 0 {
		r.note("%s: %s s of CPU with the server's, so that two cores that never idle need at least %.2f of its time for the same work",
			name, seconds(s.all), s.all.Seconds()/2/s.wall.Seconds())
	}
}

func (r *report) find(name string) (sample, bool) {
	for _, row := range r.rows {
		if row.name == name {
			return row.sample, true
		}
	}
	return sample{}, false
}

// ratio compares two samples by "wall", "cpu" or "bytes".
func ratio(this, that sample, what string) float64 {
	switch what {
	case "cpu":
		return this.cpu.Seconds() / that.cpu.Seconds()
	case "bytes":
		return float64(this.bytes) / float64(that.bytes)
	}
	return this.wall.Seconds() / that.wall.Seconds()
}

// print writes the table as Markdown.
func (r *report) print(w io.Writer) error {
	header := []string{"", "wall s", "CPU s", "MB", "RSS MB"}
	bases := make([]sample, 0, 2)
	for _, name := range []string{r.base, r.second} {
		if s, ok := r.find(name); ok {
			bases = append(bases, s)
			header = append(header, "wall / "+name, "CPU / "+name)
		}
	}
	var table strings.Builder
	tw := tabwriter.NewWriter(&table, 0, 0, 1, ' ', tabwriter.Debug)
	line := func(cells []string) { fmt.Fprintln(tw, "| "+strings.Join(cells, "\t ")+"\t") }
	line(header)
	rule := make([]string, len(header))
	for i := range rule {
		rule[i] = "---"
	}
	line(rule)
	for _, row := range r.rows {
		cells := []string{row.name, seconds(row.wall), seconds(row.cpu), written(row.bytes), fmt.Sprintf("%.0f", mb(row.rss))}
		for _, base := range bases {
			cells = append(cells, fmt.Sprintf("%.2f", ratio(row.sample, base, "wall")), fmt.Sprintf("%.2f", ratio(row.sample, base, "cpu")))
		}
		line(cells)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "## %s\n\n%s\n", r.title, table.String())
	for _, note := range r.notes {
		if err == nil {
			_, err = fmt.Fprintf(w, "- %s\n", note)
		}
	}
	if err == nil && len(r.notes) > 0 {
		_, err = fmt.Fprintln(w)
	}
	return err
}

func written(bytes int64) string {
	if bytes == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f", mb(bytes))
}
