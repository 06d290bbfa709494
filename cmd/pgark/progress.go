package main

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/term"
)

// meter counts what a command has done and shows it: as a bar that is drawn over and over on a terminal, as a line
// now and then otherwise. It implements fanout.Progress and verify.Progress.
type meter struct {
	app  *app
	verb string // "dumped", "restored", "read"
	mode string // bar, plain, none

	begun              time.Time
	rows, bytes        atomic.Uint64
	tables             atomic.Uint64
	planTables, expect atomic.Uint64
	drawn              bool // the bar is on the screen; guarded by app.mu

	stop, stopped chan struct{}
}

const (
	barEvery   = 200 * time.Millisecond
	plainEvery = 10 * time.Second
)

// startMeter begins to show progress. The caller calls end.
func (a *app) startMeter(verb string) *meter {
	m := &meter{app: a, verb: verb, mode: a.progress, begun: time.Now()}
	if m.mode == "auto" {
		m.mode = "plain"
		if isTerminal(a.stderr) {
			m.mode = "bar"
		}
	}
	if a.quiet {
		m.mode = "none"
	}
	every := plainEvery
	switch m.mode {
	case "none":
		return m
	case "bar":
		every = barEvery
		a.mu.Lock()
		a.line = m
		a.mu.Unlock()
	}
	m.stop, m.stopped = make(chan struct{}), make(chan struct{})
	go m.loop(every)
	return m
}

func (m *meter) loop(every time.Duration) {
	defer close(m.stopped)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-m.stop:
			return
		case <-tick.C:
			if m.mode == "bar" {
				m.draw()
			} else {
				m.app.say("%s", m.text())
			}
		}
	}
}

// end stops showing progress and clears the bar.
func (m *meter) end() {
	if m.stop == nil {
		return
	}
	close(m.stop)
	<-m.stopped
	m.app.mu.Lock()
	defer m.app.mu.Unlock()
	m.erase()
	m.app.line = nil
}

// Plan says how much there is to do; what several calls say adds up.
func (m *meter) Plan(tables int, bytes uint64) {
	m.planTables.Add(uint64(max(tables, 0)))
	m.expect.Add(bytes)
}

// Advance counts rows and bytes done.
func (m *meter) Advance(rows, bytes uint64) {
	m.rows.Add(rows)
	m.bytes.Add(bytes)
}

// TableDone counts a finished table, and names it where people want to know everything.
func (m *meter) TableDone(schema, table string, rows uint64) {
	m.tables.Add(1)
	if m.app.verbose > 0 {
		m.app.say("%s %s.%s: %s", m.verb, visible(schema), visible(table), plural(rows, "row"))
	}
}

// Note tells people what happens.
func (m *meter) Note(message string) {
	if m.app.verbose > 0 {
		m.app.say("%s", message)
	}
}

// text is the state in one line: "dumped 1.2 GB of about 3.0 GB (40%), 8,000,000 rows, 250.0 MB/s, 7 s to go".
func (m *meter) text() string {
	bytes, expect := m.bytes.Load(), m.expect.Load()
	spent := time.Since(m.begun)
	s := m.verb + " " + humanBytes(bytes)
	if expect > bytes {
		s += fmt.Sprintf(" of about %s (%d%%)", humanBytes(expect), bytes*100/expect)
	}
	s += ", " + plural(m.rows.Load(), "row")
	rate := float64(bytes) / max(spent.Seconds(), 0.001)
	s += ", " + humanBytes(uint64(rate)) + "/s"
	if expect > bytes && rate > 0 && spent > time.Second {
		s += ", " + humanDuration(time.Duration(float64(expect-bytes)/rate*float64(time.Second))) + " to go"
	}
	return s
}

// draw puts the bar on the terminal's last line.
func (m *meter) draw() {
	m.app.mu.Lock()
	defer m.app.mu.Unlock()
	if m.app.showing {
		return
	}
	width, _, err := term.GetSize(int(m.app.stderr.Fd()))
	if err != nil || width < 20 {
		width = 80
	}
	text := m.text()
	if expect := m.expect.Load(); expect > 0 {
		const cells = 20
		full := int(min(m.bytes.Load(), expect) * cells / expect)
		text = "[" + repeat('#', full) + repeat('.', cells-full) + "] " + text
	}
	if len(text) >= width {
		text = text[:width-1]
	}
	fmt.Fprint(m.app.stderr, "\r\x1b[K"+text)
	m.drawn = true
}

// erase clears the bar. The caller holds app.mu.
func (m *meter) erase() {
	if m.drawn {
		fmt.Fprint(m.app.stderr, "\r\x1b[K")
		m.drawn = false
	}
}

func repeat(c byte, n int) string {
	b := make([]byte, max(n, 0))
	for i := range b {
		b[i] = c
	}
	return string(b)
}

// through has reads of a file counted.
func (m *meter) through(f *os.File) io.ReaderAt { return &countingFile{File: f, meter: m} }

// countingFile counts what is read of a file, for progress that is measured by the archive's bytes.
type countingFile struct {
	*os.File
	meter *meter
}

// ReadAt implements io.ReaderAt.
func (c *countingFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.File.ReadAt(p, off)
	c.meter.Advance(0, uint64(n))
	return n, err
}
