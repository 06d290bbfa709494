package gpbackup

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// covered looks whether the pieces are all of metadata.sql, each byte once: what is in two of them could make little text
// very much, and what is in none would not be restored.
func (s *Set) covered(sql string) error {
	s.toc.Global = ownSettings(s.toc.Global, sql == "")
	var all []*metaEntry
	for _, section := range [][]metaEntry{s.toc.Global, s.toc.PreData, s.toc.PostData} {
		for i := range section {
			m := &section[i]
			if m.Start < 0 || m.End < m.Start || m.End > int64(len(sql)) {
				return fmt.Errorf("%w: %s %s.%s is said to stand at bytes %d to %d of metadata.sql, which has %d",
					ErrDamaged, m.Type, m.Schema, m.Name, m.Start, m.End, len(sql))
			}
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(x, y *metaEntry) int { return cmp.Or(cmp.Compare(x.Start, y.Start), cmp.Compare(x.End, y.End)) })
	at := int64(0)
	for _, m := range all {
		if m.Start < at {
			return fmt.Errorf("%w: %s %s.%s, at bytes %d to %d of metadata.sql, overlaps another",
				ErrDamaged, m.Type, m.Schema, m.Name, m.Start, m.End)
		}
		s.uncovered(at, sql[at:m.Start])
		at = m.End
	}
	s.uncovered(at, sql[at:])
	if len(s.problems) > 0 && s.toc.cut {
		return fmt.Errorf("%w: the table of contents is cut off: metadata.sql has more definitions than it names", ErrIncomplete)
	}
	if len(s.problems) > 0 {
		s.desc.Warnings = append(s.desc.Warnings, "metadata.sql has text that the table of contents does not know, and that is left out")
	}
	return nil
}

// uncovered notes text between pieces.
func (s *Set) uncovered(at int64, between string) {
	text := strings.TrimSpace(between)
	if text == "" {
		return
	}
	s.problems = append(s.problems, archive.Problem{
		File: fileKey{-1, s.config.Timestamp, 0, "metadata"}.String(), Offset: at + int64(strings.Index(between, text)),
		Message: fmt.Sprintf("the table of contents does not know %d bytes, which are left out: %.60q", len(text), text),
	})
}

// ownSettings leaves out the settings with which the file of statistics begins: their place is in that file. It is another
// one than metadata.sql if those of that were seen, or there is none.
func ownSettings(global []metaEntry, seen bool) []metaEntry {
	return slices.DeleteFunc(global, func(m metaEntry) bool {
		again := m.Type == "SESSION GUCS" && seen
		seen = seen || m.Type == "SESSION GUCS"
		return again
	})
}
