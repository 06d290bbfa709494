package fanout

import "log/slog"

// Progress is told how a dump or a restore gets on. Its methods may be called by several goroutines at once
// and must return at once.
type Progress interface {
	// Plan says how much there is to do: tables, and an estimate of their bytes as COPY text
	// (exact on restore). It may be called again when more is known.
	Plan(tables int, bytes uint64)
	// Advance says that rows and bytes of COPY text have been done since the last call.
	Advance(rows, bytes uint64)
	// TableDone says that all rows of one table are done.
	TableDone(schema, table string, rows uint64)
	// Note is a sentence for people: what phase begins, what is being waited for.
	Note(message string)
}

// silent is the Progress and the logger of those who gave none.
type silent struct{}

func (silent) Plan(int, uint64)                 {}
func (silent) Advance(uint64, uint64)           {}
func (silent) TableDone(string, string, uint64) {}
func (silent) Note(string)                      {}

func orSilent(p Progress) Progress {
	if p == nil {
		return silent{}
	}
	return p
}

func orDiscard(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}
