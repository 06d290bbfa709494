package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
)

// stream copies what is left of a stream and accounts for the rest. It returns the entry that it belongs to.
func (v *salvager) stream(ctx context.Context, id StreamID) (int32, error) {
	old := v.s.streams[id]
	info := v.info(id)
	out, err := v.w.OpenStream(info)
	if err != nil {
		return 0, err
	}
	c := streamCopy{id: out, info: &info}
	for rest := v.s.blocks[id]; len(rest) > 0; {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		var block []uint32
		block, rest = v.s.wholeBlock(rest)
		if block == nil {
			continue
		}
		if err := v.block(&c, block); err != nil {
			return 0, err
		}
	}
	if info.Form == FormBinary {
		c.binary.DoneBinary(&c.total)
	}
	if err := v.w.CloseStream(out, c.total); err != nil {
		return 0, err
	}
	v.rep.Blocks += uint64(c.blocks)
	v.rep.Rows += c.total.Rows
	v.rep.RawBytes += c.raw
	v.account(id, old, info, &c)
	return info.Entry, nil
}

// info returns the description of a stream, made up where it is lost, with the entry of the new catalog.
func (v *salvager) info(id StreamID) StreamInfo {
	var info StreamInfo
	if p := v.s.streams[id].info; p != nil {
		info = *p
	} else {
		info = StreamInfo{Table: fmt.Sprintf("stream_%d", id), Form: FormBinary}
		for _, i := range v.s.blocks[id] {
			if v.s.frames.at(int(i)).rows > 0 {
				info.Form = FormText
			}
		}
		v.note("The description of stream %d is lost: its rows are kept under the name %s, of unknown columns.", id, info.Table)
	}
	if v.lost {
		info.Entry = 0
	}
	if info.Entry == 0 {
		kind := "TABLE DATA"
		if _, ok := v.entries[entryKey{kind, info.Schema, info.Table}]; !ok {
			kind = "BLOBS"
		}
		info.Entry = v.entries[entryKey{kind, info.Schema, info.Table}]
	}
	return info
}

// wholeBlock takes the frames of the first block from list, which is in order. It returns those that make up the
// whole block, nil if some are missing or damaged, and the rest of the list.
func (s *survey) wholeBlock(list []uint32) (block, rest []uint32) {
	number := s.frames.at(int(list[0])).block
	n := 1
	for n < len(list) && s.frames.at(int(list[n])).block == number {
		n++
	}
	list, rest = list[:n], list[n:]
	for _, i := range list {
		r := s.frames.at(int(i))
		if s.bad[int(i)] != nil || int64(r.part) != int64(len(block)) {
			continue
		}
		block = append(block, i)
		if !r.more() {
			return block, rest
		}
	}
	return nil, rest
}

// streamCopy is a stream that is being written again.
type streamCopy struct {
	id     StreamID // the new one
	info   *StreamInfo
	blocks uint32
	raw    uint64
	total  Digest
	binary RowHasher
}

// block copies one whole block, after a look into it. What can't be decompressed is left out.
func (v *salvager) block(c *streamCopy, frames []uint32) error {
	h := newBlockHasher(c.info)
	binary := c.info.Form == FormBinary
	several := len(frames) > 1
	rows := uint64(0)
	for _, i := range frames {
		raw, err := v.s.load(int(i), &v.buf, &v.unpack)
		if err != nil {
			return v.unreadable(i, err)
		}
		rows += uint64(v.s.frames.at(int(i)).rows)
		if binary {
			continue
		}
		if err := h.add(raw, several); err != nil {
			return v.unreadable(i, err)
		}
	}
	if !binary {
		err := h.finish(several)
		if err == nil && rows != h.digest.Rows {
			err = fmt.Errorf("it holds %d rows, not %d", h.digest.Rows, rows)
		}
		if err != nil {
			return v.unreadable(frames[0], err)
		}
	}
	for _, i := range frames {
		if several || binary {
			raw, err := v.s.load(int(i), &v.buf, &v.unpack)
			if err != nil {
				return err // it could be read a moment ago
			}
			if binary {
				_, _ = c.binary.Write(raw)
			}
		}
		if err := v.append(c, int(i)); err != nil {
			return err
		}
		c.raw += uint64(v.s.frames.at(int(i)).raw)
	}
	c.blocks++
	c.total.Merge(h.digest)
	return nil
}

// unreadable notes a block whose checksums match and that still can't be used. Other errors end the salvage.
func (v *salvager) unreadable(i uint32, err error) error {
	var d *DamageError
	if errors.As(err, &d) || errors.Is(err, ErrVersion) {
		return err
	}
	r := v.s.frames.at(int(i))
	v.note("Block %d of stream %d, at byte %d, was left out: %v.", r.block, r.stream, v.s.offsets[i], err)
	return nil
}

// append writes frame i, which is in v.buf, as a part of the next block of c.
func (v *salvager) append(c *streamCopy, i int) error {
	h, err := parseFrameHeader(v.buf)
	if err != nil {
		return fmt.Errorf("frame at byte %d changed while it was read: %w", v.s.offsets[i], err)
	}
	h.stream, h.block = c.id, c.blocks
	v.frame = Frame{hdr: h, sha: sha256.Sum256(v.buf[frameHeaderLen:]), buf: v.buf}
	return v.w.Append(&v.frame)
}

// account compares what was kept of a stream with what there was.
func (v *salvager) account(id StreamID, old *surveyStream, info StreamInfo, c *streamCopy) {
	l := Loss{Schema: info.Schema, Table: info.Table}
	where := ""
	if info.Range != "" {
		where = " of its part " + info.Range
	}
	switch {
	case old.end != nil:
		end := old.end
		if end.digest == c.total || old.info == nil && end.digest.Rows == c.total.Rows && end.blocks == c.blocks {
			break // what is not described may have been digested as another form
		}
		l.Blocks, l.Rows = sub(uint64(end.blocks), uint64(c.blocks)), sub(end.digest.Rows, c.total.Rows)
		l.Message = fmt.Sprintf("%d of %d blocks%s are lost, with %d of %d rows", l.Blocks, end.blocks, where, l.Rows, end.digest.Rows)
	default:
		next := uint64(0)
		if b := v.s.blocks[id]; len(b) > 0 {
			next = uint64(v.s.frames.at(int(b[len(b)-1])).block) + 1
		}
		l.Blocks = sub(next, uint64(c.blocks))
		l.Message = fmt.Sprintf("what came after block %d%s is lost, if there was more", next, where)
		if next == 0 {
			l.Message = "its rows" + where + " are lost"
		}
		if l.Blocks > 0 {
			l.Message += fmt.Sprintf("; %d of the blocks before are lost", l.Blocks)
		}
	}
	t := v.table(info.Schema, info.Table)
	t.Blocks += uint64(c.blocks)
	t.Rows += c.total.Rows
	t.LostBlocks += l.Blocks
	t.LostRows += l.Rows
	if l.Message != "" {
		t.Complete = false
		v.loss(l)
	}
}

func sub(a, b uint64) uint64 { return a - min(a, b) }

// makeCatalog makes an entry for each table of which streams are left, so that its rows can be found and loaded.
func (v *salvager) makeCatalog() *Catalog {
	c := &Catalog{Encoding: v.moment.Settings["client_encoding"]}
	if v.s.header != nil {
		c.Database = v.s.header.Database
	}
	seen := map[[2]string]bool{}
	for _, id := range v.s.ids() {
		info := v.s.streams[id].info
		if info == nil || info.Schema == "" || seen[[2]string{info.Schema, info.Table}] {
			continue // what has no schema are large objects
		}
		seen[[2]string{info.Schema, info.Table}] = true
		c.Entries = append(c.Entries, Entry{
			ID: int32(len(c.Entries) + 1), OID: info.OID, Kind: "TABLE DATA", Schema: info.Schema, Name: info.Table,
			Section: SectionData, Copy: copyStatement(info), HadDumper: true, Nulls: NullTablespace | NullTableAM | NullOwner,
		})
	}
	return c
}

// copyStatement is what pg_dump would have written, but with every name quoted.
func copyStatement(info *StreamInfo) string {
	quote := func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
	cols := make([]string, len(info.Columns))
	for i, c := range info.Columns {
		cols[i] = quote(c)
	}
	s := "COPY " + quote(info.Schema) + "." + quote(info.Table)
	if len(cols) > 0 {
		s += " (" + strings.Join(cols, ", ") + ")"
	}
	s += " FROM stdin"
	if info.Form == FormCSV {
		s += " WITH CSV"
	}
	return s + ";\n"
}
