package pgtest

import (
	"bytes"
	"slices"
)

// Memory is a file in memory, for tests that write archives. Unlike [bytes.Buffer] it does not move what it has each time it grows, of which the race
// detector makes more work than the archive does.
type Memory struct {
	full [][]byte
	last []byte
	all  []byte // what Bytes gave
}

const memoryPart = 1 << 20

// Write takes a copy of p.
func (m *Memory) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if len(m.last) == cap(m.last) {
			if m.last != nil {
				m.full = append(m.full, m.last)
			}
			m.last = make([]byte, 0, memoryPart)
		}
		part := min(len(p), cap(m.last)-len(m.last))
		m.last = append(m.last, p[:part]...)
		p = p[part:]
	}
	return n, nil
}

// Len is the number of bytes that were written.
func (m *Memory) Len() int { return len(m.full)*memoryPart + len(m.last) }

// Bytes is all that was written so far.
func (m *Memory) Bytes() []byte {
	if len(m.all) != m.Len() {
		m.all = bytes.Join(append(slices.Clip(m.full), m.last), nil)
	}
	return m.all
}
