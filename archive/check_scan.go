package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
)

// fragmentSearch is how far into what is no archive to look for a piece of one.
const fragmentSearch = 64 << 20

// fragment checks what neither begins nor ends as an archive does.
func (c *checker) fragment(ctx context.Context, r io.ReaderAt, size int64) error {
	if size == 0 {
		c.add(Finding{Class: ClassTruncated, Block: -1, Message: "the file is empty"})
		return nil
	}
	s := scanner{r: r, size: min(size, fragmentSearch)}
	at, err := s.resync(ctx, 0)
	if err != nil {
		return err
	}
	if h, err := s.header(at); h == nil {
		return errors.Join(err, ErrNotArchive)
	}
	c.add(Finding{Class: ClassStructure, Block: -1, Message: "both the begin and the end of the archive are damaged or missing" + salvageHint})
	return c.scanned(ctx, r, size)
}

// scanned checks an archive whose header, index or trailer is damaged, by its frames alone.
func (c *checker) scanned(ctx context.Context, r io.ReaderAt, size int64) error {
	if done, err := c.brokenCluster(ctx, r, size); done || err != nil {
		return err
	}
	if c.quick {
		return nil
	}
	k := &scanCheck{checker: c}
	from := len(c.res.Findings)
	s, err := takeSurvey(ctx, r, size, k.each)
	if errors.Is(err, ErrNotArchive) {
		return nil // not one frame is left, and what is wrong has been said
	}
	if err != nil {
		return err
	}
	k.gaps(s)
	for _, id := range s.ids() {
		if info := s.streams[id].info; info != nil {
			c.table(info)
		}
		c.res.Streams++
		k.stream(s, id)
	}
	for i := range c.res.Findings[from:] { // some descriptions come behind the damage
		if f := &c.res.Findings[from+i]; f.Stream != 0 {
			f.Schema, f.Table = s.name(f.Stream)
		}
	}
	return nil
}

// scanCheck is a check without an index.
type scanCheck struct {
	*checker
	unpack unpacker
}

// each looks at what the scan comes across.
func (k *scanCheck) each(s *survey, f *found) error {
	k.res.Bytes += uint64(f.size)
	err := s.bad[s.frames.n-1]
	switch {
	case f.kind == scanGap || f.kind == scanTrailer:
		return nil
	case err == nil && f.hdr.typ == FrameBlock:
		err = k.block(s, f)
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, ErrVersion) {
		return err
	}
	x := Finding{Class: ClassFrame, Offset: f.offset, Stream: f.hdr.stream, Block: -1}
	if errors.Is(err, ErrTruncated) {
		x.Class = ClassTruncated
		err = errors.New("the volume ends within it")
	}
	if f.hdr.typ == FrameBlock {
		x.Block = int64(f.hdr.block)
	}
	x.Message = fmt.Sprintf("the %s is damaged: %v", f.hdr.typ, err)
	k.add(x)
	return nil
}

// block decompresses a block and counts its rows, where its form is known already.
func (k *scanCheck) block(s *survey, f *found) error {
	raw, err := k.unpack.unpack(&f.hdr, f.payload)
	if err != nil {
		return err
	}
	if x := s.streams[f.hdr.stream]; x != nil && x.info != nil {
		r := recordOf(&f.hdr, [32]byte{})
		if err := checkRows(x.info.Form, &r, raw); err != nil {
			return err
		}
	}
	k.res.Rows += uint64(f.hdr.rows)
	k.res.RawBytes += uint64(f.hdr.raw)
	if !f.hdr.more() {
		k.res.Blocks++
	}
	return nil
}

// gaps reports the bytes that belong to no frame, naming what the index has there.
func (k *scanCheck) gaps(s *survey) {
	if s.index == nil {
		for _, g := range s.gaps {
			k.add(Finding{Class: ClassStructure, Offset: g.offset, Block: -1, Message: g.String()})
		}
		return
	}
	gaps := s.gaps
	at := int64(0)
	for i := range s.index.frames.n {
		r := s.index.frames.at(i)
		end := at + frameHeaderLen + int64(r.stored)
		for len(gaps) > 0 && gaps[0].offset+gaps[0].size <= at {
			gaps = gaps[1:]
		}
		if len(gaps) == 0 {
			break
		}
		if gaps[0].offset < end {
			f := Finding{
				Class: ClassFrame, Offset: at, Stream: r.stream, Block: -1,
				Message: fmt.Sprintf("the %s is damaged: %s", r.typ, gaps[0]),
			}
			if r.typ == FrameBlock {
				f.Block = int64(r.block)
			}
			k.add(f)
		}
		at = end
	}
	for _, g := range gaps {
		if g.offset+g.size > at {
			k.add(Finding{Class: ClassStructure, Offset: g.offset, Block: -1, Message: g.String()})
		}
	}
}

func (g gap) String() string {
	return fmt.Sprintf("no valid frame in bytes %d to %d", g.offset, g.offset+g.size-1)
}

// stream reports which blocks and parts of a stream are missing, and that its description or its end is.
func (k *scanCheck) stream(s *survey, id StreamID) {
	x := s.streams[id]
	if x.info == nil {
		k.missing(id, -1, s.gapOffset(), "the description of stream %d is missing", id)
	}
	indexed := s.index != nil && len(s.gaps) > 0 // then the index named what was in the gaps
	next := int64(0)                             // block that comes next
	for rest := s.blocks[id]; len(rest) > 0; {
		number := int64(s.frames.at(int(rest[0])).block)
		if number > next && !indexed {
			k.missingBlocks(s, id, next, number)
		}
		before := rest
		var block []uint32
		block, rest = s.wholeBlock(rest)
		if next = number + 1; block != nil || s.anyBad(before[:len(before)-len(rest)]) {
			continue
		}
		if x.end == nil && len(rest) == 0 {
			next = number
		} else if !indexed {
			k.missing(id, number, s.gapOffset(), "a part of block %d is missing", number)
		}
	}
	switch {
	case x.end == nil:
		k.add(Finding{
			Class: ClassTruncated, Offset: s.gapOffset(), Stream: id, Block: next,
			Message: fmt.Sprintf("the stream has no end: block %d and what follows are missing, if there was more", next),
		})
	case next < int64(x.end.blocks) && !indexed:
		k.missingBlocks(s, id, next, int64(x.end.blocks))
	}
}

// missingBlocks reports the blocks from one number up to another.
func (k *scanCheck) missingBlocks(s *survey, id StreamID, from, to int64) {
	if to == from+1 {
		k.missing(id, from, s.gapOffset(), "block %d is missing", from)
		return
	}
	k.missing(id, from, s.gapOffset(), "blocks %d to %d are missing", from, to-1)
}

func (k *scanCheck) missing(id StreamID, block, offset int64, format string, args ...any) {
	k.add(Finding{Class: ClassFrame, Offset: offset, Stream: id, Block: block, Message: fmt.Sprintf(format, args...)})
}

// anyBad says whether one of the frames has been reported already.
func (s *survey) anyBad(frames []uint32) bool {
	return slices.ContainsFunc(frames, func(i uint32) bool { return s.bad[int(i)] != nil })
}

// gapOffset is the best guess where missing frames were: the first bytes that belong to no frame, or the end.
func (s *survey) gapOffset() int64 {
	if len(s.gaps) > 0 {
		return s.gaps[0].offset
	}
	return s.size
}
