package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// CheckOptions say how to check an archive.
type CheckOptions struct {
	Jobs  int  // goroutines; 0 for one
	Quick bool // trailer, index, frame headers, moment and catalog only, not the rows
}

// The classes of findings.
const (
	ClassTruncated = "truncated" // the volume is cut off, was never finished, or goes on behind its end
	ClassStructure = "structure" // header, index or trailer are damaged
	ClassFrame     = "frame"     // a frame is damaged: a block, mostly
	ClassDigest    = "digest"    // the rows of a stream do not have its digest
	ClassCatalog   = "catalog"   // moment or catalog can't be read or contradict the streams
)

// Finding is one thing that is wrong with an archive.
type Finding struct {
	Class         string
	Offset        int64 // in the volume: of the frame that is damaged, or of what is missing
	Stream        StreamID
	Schema, Table string // of the stream, where it is known
	Block         int64  // number in the stream, -1 where this is about no block
	Message       string
}

// CheckResult is what a check came to. Without findings the archive is sound.
type CheckResult struct {
	Tables   int // that have streams
	Streams  int
	Blocks   int    // sound ones
	Rows     uint64 // in them
	RawBytes uint64
	Bytes    uint64    // that were read of the volume
	Findings []Finding // in the order of their offsets, at most maxFindings
	More     int       // findings that there was no room for
}

const maxFindings = 1000

// Check reads an archive, all of it unless told otherwise, and says what is damaged and where. Where the index
// is damaged too it goes by the frames alone. Damage is no error: an error is that r can't be read, that this is
// no archive, or that it needs a newer pgark. Memory: two frames for each job and what a [Reader] takes.
func Check(ctx context.Context, r io.ReaderAt, size int64, o CheckOptions) (*CheckResult, error) {
	c := &checker{jobs: max(o.Jobs, 1), quick: o.Quick, tables: map[[2]string]bool{}}
	x, err := NewReader(r, size)
	var damage *DamageError
	switch {
	case err == nil:
		err = c.indexed(ctx, x)
	case errors.As(err, &damage):
		c.add(findingOf(damage))
		err = c.scanned(ctx, r, size)
	case errors.Is(err, ErrNotArchive):
		err = c.fragment(ctx, r, size)
	}
	if err != nil {
		return nil, err
	}
	c.res.Tables = len(c.tables)
	slices.SortStableFunc(c.res.Findings, func(a, b Finding) int { return cmp.Compare(a.Offset, b.Offset) })
	return &c.res, nil
}

// findingOf makes a finding of damage that a reader came across.
func findingOf(e *DamageError) Finding {
	f := Finding{
		Class: ClassStructure, Offset: e.Offset, Stream: e.Stream, Schema: e.Schema, Table: e.Table, Block: -1, Message: e.Message,
	}
	if e.HasBlock {
		f.Block = int64(e.Block)
	}
	switch {
	case errors.Is(e.Err, ErrTruncated):
		f.Class = ClassTruncated
	case e.Stream != 0:
		f.Class = ClassFrame
	}
	return f
}

// checker gathers the result. Its methods may be called from several goroutines.
type checker struct {
	jobs  int
	quick bool

	mu     sync.Mutex
	res    CheckResult
	tables map[[2]string]bool
}

func (c *checker) add(f Finding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.res.Findings) < maxFindings {
		c.res.Findings = append(c.res.Findings, f)
	} else {
		c.res.More++
	}
}

// indexed checks an archive whose header, index and trailer are sound.
func (c *checker) indexed(ctx context.Context, x *Reader) error {
	k := &indexedCheck{checker: c, x: x, digests: make([]Digest, len(x.streams)), damaged: make([]bool, len(x.streams))}
	for i := range x.streams {
		c.tables[[2]string{x.streams[i].Schema, x.streams[i].Table}] = true
	}
	c.res.Streams = len(x.streams)
	c.res.Bytes = trailerLen + x.trailer.indexLen
	work := make(chan int)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(work)
		for i := range x.frames.n {
			if !k.leads(i) {
				continue
			}
			select {
			case work <- i:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range c.jobs {
		g.Go(func() error {
			d := x.NewDecoder()
			defer d.Close()
			for i := range work {
				if err := k.unit(ctx, d, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if !c.quick {
		k.compareDigests()
	}
	return k.documents()
}

// indexedCheck is a check with an index.
type indexedCheck struct {
	*checker
	x       *Reader
	digests []Digest // of the blocks, by stream
	damaged []bool   // streams with damaged blocks
}

// leads says whether frame i is worked on by itself: not if it is done with an earlier one of its block or stream.
func (k *indexedCheck) leads(i int) bool {
	r := k.x.frames.at(i)
	if r.typ != FrameBlock || k.quick {
		return true
	}
	if k.x.streams[r.stream-1].Form == FormBinary { // has one hash over all of its blocks
		return k.x.blocks[k.x.first[r.stream-1]] == uint32(i)
	}
	return r.part == 0
}

// unit checks what frame i leads. Damage becomes a finding.
func (k *indexedCheck) unit(ctx context.Context, d *Decoder, i int) error {
	r := k.x.frames.at(i)
	switch {
	case k.quick:
		return k.report(k.frameHeader(i))
	case r.typ != FrameBlock:
		raw, err := d.frame(i)
		k.count(frameHeaderLen + uint64(r.stored))
		if err == nil {
			err = k.x.damage(i, k.content(r, raw))
		}
		return k.report(err)
	case k.x.streams[r.stream-1].Form == FormBinary:
		return k.binary(ctx, d, r.stream)
	}
	b := k.x.block(k.x.blockFrames(r.stream, r.block))
	h := newBlockHasher(&k.x.streams[r.stream-1].StreamInfo)
	err := d.Block(b, func(part []byte) error { return h.add(part, b.Parts > 1) })
	if err == nil {
		err = h.finish(b.Parts > 1)
	}
	var damage *DamageError
	if err != nil && !errors.As(err, &damage) {
		err = k.blockDamage(&b, err)
	}
	return k.blockDone(&b, h.digest, err)
}

// blockDone adds a block's digest to its stream, or reports what is wrong with it.
func (k *indexedCheck) blockDone(b *Block, d Digest, err error) error {
	if err == nil && d.Rows != uint64(b.Rows) {
		err = k.blockDamage(b, fmt.Errorf("it holds %d rows, not %d", d.Rows, b.Rows))
	}
	k.count(b.Stored)
	k.mu.Lock()
	if err == nil {
		k.digests[b.Stream-1].Merge(d)
		k.res.Blocks++
		k.res.Rows += uint64(b.Rows)
		k.res.RawBytes += b.Raw
	} else {
		k.damaged[b.Stream-1] = true
	}
	k.mu.Unlock()
	return k.report(err)
}

func (k *indexedCheck) blockDamage(b *Block, err error) error {
	return k.x.damage(int(k.x.blockFrames(b.Stream, b.Seq)[0]), err)
}

// binary checks the blocks of a stream without rows, one after the other.
func (k *indexedCheck) binary(ctx context.Context, d *Decoder, id StreamID) error {
	var h RowHasher
	for b := range k.x.Blocks(id) {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := d.Block(b, func(part []byte) error {
			_, err := h.Write(part)
			return err
		})
		if err := k.blockDone(&b, Digest{}, err); err != nil {
			return err
		}
	}
	var sum Digest
	h.DoneBinary(&sum)
	k.mu.Lock()
	k.digests[id-1] = sum
	k.mu.Unlock()
	return nil
}

func (k *indexedCheck) count(size uint64) {
	k.mu.Lock()
	k.res.Bytes += size
	k.mu.Unlock()
}

// report makes a finding of damage and passes on every other error.
func (c *checker) report(err error) error {
	var e *DamageError
	if err == nil || !errors.As(err, &e) {
		return err
	}
	f := findingOf(e)
	if f.Class == ClassStructure {
		f.Class = ClassFrame
	}
	c.add(f)
	return nil
}
