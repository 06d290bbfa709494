package fanout

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/archive"
)

const (
	// loadChunk is how much COPY text is handed from the decoding to the sending side at once.
	loadChunk = 1 << 20
	// loadBuffers is how many chunks may wait for the server: enough for one block to be sent while the next is decoded.
	loadBuffers = 4
)

// copyIn copies the blocks that l gives it with one COPY statement. It returns the digest of the rows sent and the
// number that the server says it took; nothing of it stays if there is an error.
func (s *loadSession) copyIn(ctx context.Context, sql string, l *tableLoad, p Progress) (archive.Digest, uint64, error) {
	in, err := s.conn.CopyIn(ctx, sql)
	if err != nil {
		return archive.Digest{}, 0, err
	}
	digest, err := s.feed(ctx, l, p, func(chunk []byte) error {
		_, err := in.Write(chunk)
		return err
	})
	if err == nil {
		err = l.entry.failed() // another session could not load its share
	}
	if err != nil {
		// The server's own reason, if it has given one, is in err already.
		_ = in.Abort("pgark could not send all rows")
		return archive.Digest{}, 0, err
	}
	rows, err := in.Close(ctx)
	if err != nil {
		return archive.Digest{}, 0, err
	}
	return digest, uint64(max(rows, 0)), nil
}

// feedRows decodes the blocks that l gives it and passes runs of whole rows to send.
func (s *loadSession) feedRows(ctx context.Context, l *tableLoad, p Progress, send func([]byte) error) (archive.Digest, error) {
	f := feeder{load: l, decoder: s.decoder, progress: p}
	err := f.decodeAll(ctx, send)
	return f.digest, err
}

// feed decodes the blocks that l gives it and passes their rows to send, in order. Decoding runs ahead of sending by
// [loadBuffers] chunks. A load of a single small block is decoded and sent without a goroutine: most tables are that.
func (s *loadSession) feed(ctx context.Context, l *tableLoad, p Progress, send func([]byte) error) (archive.Digest, error) {
	f := feeder{load: l, decoder: s.decoder, progress: p}
	if l.raw <= loadChunk || l.unknown { // of a source, the reader runs ahead already
		err := f.decodeAll(ctx, send)
		return f.digest, err
	}
	if s.free == nil {
		s.free = make(chan []byte, loadBuffers)
		for range loadBuffers {
			s.free <- make([]byte, loadChunk)
		}
	}
	full := make(chan []byte, loadBuffers)
	decodeCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	var g errgroup.Group
	g.Go(func() error {
		defer close(full)
		return f.decodeAll(decodeCtx, func(rows []byte) error { return s.hand(decodeCtx, full, rows) })
	})
	var sendErr error
	for chunk := range full {
		if sendErr == nil {
			if sendErr = send(chunk); sendErr != nil {
				cancel()
			}
		}
		s.free <- chunk[:cap(chunk)]
	}
	err := g.Wait()
	if sendErr != nil {
		err = sendErr
	}
	return f.digest, err
}

// hand copies rows into free buffers and passes them on.
func (s *loadSession) hand(ctx context.Context, full chan<- []byte, rows []byte) error {
	for len(rows) > 0 {
		select {
		case buf := <-s.free:
			n := copy(buf, rows)
			rows = rows[n:]
			full <- buf[:n] // there is room for as many as there are buffers
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// feeder decodes blocks, or takes the text of a source, and digests the rows.
type feeder struct {
	load     *tableLoad
	decoder  *archive.Decoder
	progress Progress
	digest   archive.Digest
}

func (f *feeder) decodeAll(ctx context.Context, pass func([]byte) error) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		x, ok, err := f.load.take(ctx)
		if !ok || err != nil {
			return err
		}
		if x.from != nil {
			err = f.passText(ctx, x, pass)
		} else if err = f.decode(x.block, pass); err == nil {
			f.progress.Advance(uint64(x.block.Rows), x.block.Raw)
		}
		if err != nil {
			return err
		}
	}
}

// passText passes a run of a source on, with all parts of its row if it is in parts.
func (f *feeder) passText(ctx context.Context, x run, pass func([]byte) error) error {
	d := archive.NewRunDigest(f.load.floats())
	for {
		before, more := d.Digest.Rows, x.more
		err := d.Add(x.text, x.part, more)
		if err == nil {
			err = pass(x.text)
		}
		size := len(x.text)
		x.from.giveBack(&x)
		if err != nil {
			if more {
				x.from.abandon()
			}
			return err
		}
		f.progress.Advance(d.Digest.Rows-before, uint64(size))
		if !more {
			f.digest.Merge(d.Digest)
			return nil
		}
		if x, err = x.from.nextPart(ctx); err != nil {
			return err
		}
		f.load.countPart(len(x.text))
	}
}

// floats says which columns hold floats that a server printed with more digits than they need.
func (l *tableLoad) floats() string {
	if len(l.streams) == 0 {
		return ""
	}
	return l.streams[0].Floats
}

// errOpenRow is returned for a row that does not end where its block ends.
var errOpenRow = errors.New("a block ends within a row")

// decode decodes one block. A block of several parts is one row.
func (f *feeder) decode(b archive.Block, pass func([]byte) error) error {
	if b.Parts <= 1 {
		return f.decoder.Block(b, func(rows []byte) error {
			if err := f.digest.AddRowsCanonical(b.Floats, rows); err != nil {
				return err
			}
			return pass(rows)
		})
	}
	hasher := archive.NewRowHasher(b.Floats)
	part, ended := 0, false
	err := f.decoder.Block(b, func(piece []byte) error {
		row := piece
		if part++; part == b.Parts && len(piece) > 0 && piece[len(piece)-1] == '\n' {
			row, ended = piece[:len(piece)-1], true
		}
		if _, err := hasher.Write(row); err != nil {
			return err
		}
		return pass(piece)
	})
	if err != nil {
		return err
	}
	if !ended {
		return errOpenRow
	}
	hasher.Done(&f.digest)
	return nil
}
