package fanout

import (
	"context"
	"fmt"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// settle ends a part that no session is at work on any more. With the last part of an entry it records a failure, or
// compares what was loaded with what the archive promises.
func (r *restoreRun) settle(ctx context.Context, s *loadSession, l *tableLoad) error {
	l.end()
	e := l.entry
	if !e.settled() {
		return nil
	}
	if err := e.failed(); err != nil {
		if ctx.Err() == nil && !s.lost(err) {
			err = r.tidy(ctx, s, e, err)
		}
		return r.fail(ctx, s, e.step.Entry, err)
	}
	rows, bytes := e.loaded()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Rows += rows
	r.result.RawBytes += bytes
	differs := r.countSource(e, rows)
	for _, p := range e.parts {
		what := p.difference()
		if what == "" {
			continue
		}
		differs = true
		if p.node != 0 {
			what = "node " + p.nodeName + ": " + what
		}
		r.result.Mismatches = append(r.result.Mismatches, Mismatch{
			Schema: p.schema, Table: p.table, Want: p.want, Got: p.got, Loaded: p.rows, What: what,
		})
		r.opts.Log.Error("rows differ from the archive", "table", describeEntry(e.step.Entry), "difference", what)
	}
	if !e.blobs && !differs {
		r.result.Tables++
		r.opts.Progress.TableDone(e.step.Entry.Schema, e.step.Entry.Name, rows)
	}
	return nil
}

// countSource keeps the digest of what was sent of a source's entry, and reports whether the source says that these are
// not all rows. r.mu is held.
func (r *restoreRun) countSource(e *entryLoad, rows uint64) (differs bool) {
	if !e.unknown {
		return false
	}
	entry := e.step.Entry
	var sent archive.Digest
	for _, p := range e.parts {
		sent.Merge(p.got)
	}
	if r.result.Sent == nil {
		r.result.Sent = make(map[int32]archive.Digest)
	}
	r.result.Sent[entry.ID] = sent
	counter, ok := r.content.(archive.RowCounter)
	if !ok {
		return false
	}
	want, ok := counter.ExpectedRows(entry.ID)
	if !ok || want == rows {
		return false
	}
	r.result.Mismatches = append(r.result.Mismatches, Mismatch{
		Schema: entry.Schema, Table: entry.Name, Got: sent, Loaded: rows,
		What: fmt.Sprintf("%d rows were loaded, the dump says that it has %d", rows, want),
	})
	return true
}

// difference says in words how what was loaded differs from what the archive promises, "" if it does not.
func (l *tableLoad) difference() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	want := l.want
	if l.unknown { // what was read is all that there is to compare with
		want = l.got
	}
	switch {
	case l.got.Rows != want.Rows:
		return fmt.Sprintf("%d rows were sent, the archive promises %d", l.got.Rows, want.Rows)
	case l.got != want:
		return fmt.Sprintf("the digest of the rows sent is %s, the archive promises %s", l.got, want)
	case l.rows != want.Rows && l.omitted == 0:
		return fmt.Sprintf("the server took %d rows of the %d that were sent", l.rows, want.Rows)
	}
	return ""
}

// tidy empties a table of this restore that could only be loaded in part, so that a table holds all its rows or none,
// and returns the error with the state that the table is in.
func (r *restoreRun) tidy(ctx context.Context, s *loadSession, e *entryLoad, err error) error {
	rows, _ := e.loaded()
	if rows == 0 || e.blobs || r.opts.SingleTransaction {
		return err
	}
	table := r.plan.Table(e.step.Entry.ID)
	if table != nil && r.isMade(table.ID) && !LoadsViaRoot(e.step.Entry) {
		name := wire.QualifiedName(table.Schema, table.Name)
		if truncErr := r.onCoordinator(ctx, s, "TRUNCATE TABLE "+r.only(table.Schema, table.Name)+name); truncErr == nil {
			return fmt.Errorf("%w (the table was left empty)", err)
		}
	}
	if e.unknown {
		return fmt.Errorf("%w (%d rows were loaded before and stay)", err, rows)
	}
	return fmt.Errorf("%w (%d of its %d rows were loaded before and stay)", err, rows, e.want.Rows)
}

// onCoordinator carries out a statement on the coordinator, in a session of its own where s is with another node: what
// changes a table there alone would be unknown to the others.
func (r *restoreRun) onCoordinator(ctx context.Context, s *loadSession, sql string) error {
	if s.node != 0 {
		var err error
		if s, err = r.connect(ctx); err != nil {
			return err
		}
		defer s.close(ctx)
	}
	_, err := s.conn.Exec(ctx, sql)
	return err
}
