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

	// Members are what checks of a set's other volumes came to where those lie, by number. [CheckFiles] then looks for none of
	// them here. nil has it do so.
	Members map[uint32]*MemberCheck
}

// MemberCheck is what the check of a volume came to on the host where it lies.
type MemberCheck struct {
	Name   string       // of the volume in findings: host and path
	Err    error        // why there is no result: nothing was found there, or nobody could look
	Result *CheckResult // what [CheckFiles] said there
	// Skeleton has the volume's bytes of Size where [Skeleton] says; nil where the volume is too damaged for that.
	Skeleton io.ReaderAt
	Size     int64
}

// The classes of findings.
const (
	ClassTruncated = "truncated" // the volume is cut off, was never finished, or goes on behind its end
	ClassStructure = "structure" // header, index or trailer are damaged
	ClassFrame     = "frame"     // a frame is damaged: a block, mostly
	ClassDigest    = "digest"    // the rows of a stream do not have its digest
	ClassCatalog   = "catalog"   // a document can't be read or contradicts the streams
	ClassMissing   = "missing"   // a volume of a set is not there
	ClassVolume    = "volume"    // in the place of a volume of a set is another one
	ClassUnchecked = "unchecked" // nobody could look at a volume of a set where it lies
)

// Finding is one thing that is wrong with an archive.
type Finding struct {
	Class         string
	Volume        string // name of the volume, as far as names were given
	Database      string // of a cluster archive: what database it concerns; empty for what they share
	Offset        int64  // in the volume, of a cluster archive in the file: of the frame that is damaged, or of what is missing; -1 of none
	Stream        StreamID
	Schema, Table string // of the stream, where it is known
	Block         int64  // number in the stream, -1 where this is about no block
	Message       string
}

// CheckResult is what a check came to. Without findings the archive is sound.
type CheckResult struct {
	Tables   int // that have streams; partitions without an entry of their own count as one
	Streams  int
	Blocks   int    // sound ones
	Rows     uint64 // in them
	RawBytes uint64
	Bytes    uint64 // that were read of all volumes
	// Databases has, of a cluster archive, what was found in each of its databases, in the order of the file; nil of others. The sums
	// above have all of them.
	Databases []DatabaseCheck
	Findings  []Finding // in the order of the volumes and of their offsets, at most maxFindings
	More      int       // findings that there was no room for
}

const maxFindings = 1000

// Check reads a volume, all of it unless told otherwise, and says what is damaged and where. Where the index
// is damaged too it goes by the frames alone. Damage is no error: an error is that r can't be read, that this is
// no archive, or that it needs a newer pgark. Memory: two frames for each job and what a [Reader] takes.
//
// Of a set it checks the volume that it is given, the lead volume or another; [CheckFiles] checks all. Of a cluster archive it checks
// all databases, one after the other.
func Check(ctx context.Context, r io.ReaderAt, size int64, o CheckOptions) (*CheckResult, error) {
	c := newChecker(o)
	if _, err := c.check(ctx, r, size, ""); err != nil {
		return nil, err
	}
	return c.result(), nil
}

func newChecker(o CheckOptions) *checker {
	return &checker{jobs: max(o.Jobs, 1), quick: o.Quick, members: o.Members, tables: map[tableID]bool{}}
}

func (c *checker) result() *CheckResult {
	c.res.Tables = c.nestedTables + len(c.tables)
	return &c.res
}

// check checks one volume. It returns the volume, nil if that can't be opened.
func (c *checker) check(ctx context.Context, r io.ReaderAt, size int64, name string) (*volume, error) {
	from := len(c.res.Findings)
	v, err := openVolume(r, size, name)
	var damage *DamageError
	switch {
	case err == nil && v.header.Cluster:
		err = c.cluster(ctx, v)
	case err == nil:
		err = c.indexed(ctx, v)
	case errors.As(err, &damage):
		c.add(findingOf(damage))
		err = c.scanned(ctx, r, size)
	case errors.Is(err, ErrNotArchive):
		err = c.fragment(ctx, r, size)
	}
	c.sort(from, name)
	return v, err
}

// sort puts the findings of one volume in order, and names it.
func (c *checker) sort(from int, name string) {
	mine := c.res.Findings[from:]
	slices.SortStableFunc(mine, func(a, b Finding) int { return cmp.Compare(a.Offset, b.Offset) })
	for i := range mine {
		mine[i].Volume = name
	}
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
	jobs    int
	quick   bool
	members map[uint32]*MemberCheck // as in CheckOptions

	nested       bool // what is checked is one database of a cluster archive
	nestedTables int  // of databases that were checked

	mu     sync.Mutex
	res    CheckResult
	tables map[tableID]bool
	bound  map[uint32]int32 // entries by OID, of a set
}

// tableID tells tables apart: by their entry, or by name where that is not known.
type tableID struct {
	entry         int32
	schema, table string
}

// table counts the table of a stream, once. Large objects, which have no schema, are none.
func (c *checker) table(s *StreamInfo) {
	switch entry := cmp.Or(s.Entry, c.bound[s.OID]); {
	case s.Schema == "":
	case entry != 0:
		c.tables[tableID{entry: entry}] = true
	default:
		c.tables[tableID{schema: s.Schema, table: s.Table}] = true
	}
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
func (c *checker) indexed(ctx context.Context, v *volume) error {
	k := &indexedCheck{checker: c, v: v, digests: make([]Digest, len(v.streams)), damaged: make([]bool, len(v.streams))}
	for i := range v.streams {
		c.table(&v.streams[i].StreamInfo)
	}
	c.res.Streams += len(v.streams)
	c.res.Bytes += trailerLen + v.trailer.indexLen
	work := make(chan int)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(work)
		for i := range v.frames.n {
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
			var d frameDecoder
			for i := range work {
				if err := k.unit(ctx, &d, i); err != nil {
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
	v       *volume
	digests []Digest // of the blocks, by stream
	damaged []bool   // streams with damaged blocks
}

// leads says whether frame i is worked on by itself: not if it is done with an earlier one of its block or stream.
func (k *indexedCheck) leads(i int) bool {
	r := k.v.frames.at(i)
	if r.typ != FrameBlock || k.quick {
		return true
	}
	if k.v.streams[r.stream-1].Form == FormBinary { // has one hash over all of its blocks
		return k.v.blocks[k.v.first[r.stream-1]] == uint32(i)
	}
	return r.part == 0
}

// unit checks what frame i leads. Damage becomes a finding.
func (k *indexedCheck) unit(ctx context.Context, d *frameDecoder, i int) error {
	r := k.v.frames.at(i)
	switch {
	case k.quick:
		return k.report(k.frameHeader(i))
	case r.typ != FrameBlock:
		raw, err := d.frame(k.v, i)
		k.count(frameHeaderLen + uint64(r.stored))
		if err == nil {
			err = k.v.damage(i, k.content(r, raw))
		}
		return k.report(err)
	case k.v.streams[r.stream-1].Form == FormBinary:
		return k.binary(ctx, d, r.stream)
	}
	b := k.v.block(k.v.blockFrames(r.stream, r.block))
	h := newBlockHasher(&k.v.streams[r.stream-1].StreamInfo)
	err := d.block(k.v, b.Stream, b.Seq, func(part []byte) error { return h.add(part, b.Parts > 1) })
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
	return k.v.damage(int(k.v.blockFrames(b.Stream, b.Seq)[0]), err)
}

// binary checks the blocks of a stream without rows, one after the other.
func (k *indexedCheck) binary(ctx context.Context, d *frameDecoder, id StreamID) error {
	var h RowHasher
	for b := range k.v.streamBlocks(id) {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := d.block(k.v, b.Stream, b.Seq, func(part []byte) error {
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
