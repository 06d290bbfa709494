package pgdump

import (
	"context"
	"fmt"
)

// Close completes the archive: [Writer.Finish] and [Writer.Place].
func (w *Writer) Close() (WriteSummary, error) {
	sum, err := w.Finish()
	if err == nil {
		err = w.Place()
	}
	if err != nil {
		return WriteSummary{}, err
	}
	return sum, nil
}

// Finish writes all that is missing of the archive; a directory does not have its name yet. It fails, and removes what Abort removes,
// where data of an entry was never given, or the context has ended.
func (w *Writer) Finish() (WriteSummary, error) {
	if w.ended {
		return WriteSummary{}, w.state()
	}
	w.ended = true
	err := w.lines.finish()
	if w.err != nil { // of a call that came before
		err = w.err
	}
	if err == nil {
		err = context.Cause(w.parent)
	}
	if err == nil {
		err = w.missing()
	}
	var n uint64
	if err == nil {
		n, err = w.sink.close(w.toc)
	}
	if err != nil {
		w.placed = true
		w.sink.abort()
		return WriteSummary{}, w.fail(err)
	}
	return WriteSummary{Minor: w.options.Minor, RawBytes: w.lines.bytes, Bytes: n, Notes: w.notes}, nil
}

// Place gives an archive that is finished its name, or removes it where that fails.
func (w *Writer) Place() error {
	if w.placed {
		return w.state()
	}
	w.placed = true
	if err := w.sink.place(); err != nil {
		w.sink.abort()
		return w.fail(err)
	}
	return nil
}

// missing is an error if data is still to come.
func (w *Writer) missing() error {
	if w.open {
		return fmt.Errorf("%w: the data of entry %d, %s %s, has no end", errOrder, w.current.ID, w.current.Kind, w.current.Name)
	}
	if i := w.firstLeft(); i < len(w.toc.Entries) {
		e := &w.toc.Entries[i]
		return fmt.Errorf("%w: no data of entry %d, %s %s", errOrder, e.ID, e.Kind, e.Name)
	}
	return nil
}

// Abort gives the archive up, and removes what was made of it where that has a name. It does nothing after Place, and Close.
func (w *Writer) Abort() {
	if w.placed {
		return
	}
	if w.placed = true; !w.ended {
		w.ended = true
		w.lines.abort()
	}
	w.sink.abort()
}
