package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// GatherOptions say how to make an archive of one volume.
type GatherOptions struct {
	Tool string // name and version of the program
	Jobs int    // goroutines that read and check frames; 0 for one
}

// GatherReport is what was gathered.
type GatherReport struct {
	Summary Summary
	Losses  []Loss // rows of volumes that are absent; also in the moment of the new archive
}

// Gather writes an archive of one volume to out that has everything of x, mostly a set. Nothing is decompressed: payloads are
// checked against CRC and SHA-256 and copied as they are, so rows and digests are the same. Damage is a [DamageError],
// and ends it. Of volumes that x was opened without, the moment of the new archive says what is lost with them. Memory: some
// frames, and what a [Writer] takes.
func Gather(ctx context.Context, x *Reader, out io.Writer, o GatherOptions) (*GatherReport, error) {
	m, cat, err := x.documents()
	if err != nil {
		return nil, err
	}
	rep := &GatherReport{Losses: x.losses(cat)}
	if len(rep.Losses) > 0 {
		with := *m
		with.Losses = append(m.Losses[:len(m.Losses):len(m.Losses)], rep.Losses...)
		m = &with
	}
	w, err := NewWriter(out, x.writerOptions(o.Tool))
	if err != nil {
		return nil, err
	}
	defer w.Abort() // no more than a release once it is closed
	if err := errors.Join(w.SetMoment(m), w.SetCatalog(cat)); err != nil {
		return nil, err
	}
	if err := x.copyStreams(ctx, o.Jobs, func(*Stream) (*Writer, error) { return w, nil }); err != nil {
		return nil, err
	}
	rep.Summary, err = w.Close()
	return rep, err
}

func (x *Reader) documents() (*Moment, *Catalog, error) {
	m, err := x.Moment()
	if err != nil {
		return nil, nil, err
	}
	cat, err := x.Catalog()
	return m, cat, err
}

// writerOptions are those of a volume with the same streams.
func (x *Reader) writerOptions(tool string) WriterOptions {
	h := x.Header()
	o := WriterOptions{Codec: CodecZstd, Created: h.Created, Database: h.Database, Tool: tool, Salvaged: h.Salvaged}
	if h.Codec.checkLevel(h.Level) == nil {
		o.Codec, o.Level = h.Codec, h.Level
	}
	return o
}

// losses lists the tables that have rows in volumes which are absent.
func (x *Reader) losses(cat *Catalog) []Loss {
	var losses []Loss
	entries := map[int32]*Entry{}
	for i := range cat.Entries {
		entries[cat.Entries[i].ID] = &cat.Entries[i]
	}
	for _, s := range x.status {
		if s.Err == nil {
			continue
		}
		what := fmt.Sprintf("they are in %s, which was absent", s.label(x.nodeName(s.Node)))
		for i := range s.Tables {
			t := &s.Tables[i]
			if t.Blocks == 0 {
				continue
			}
			l := Loss{Blocks: t.Blocks, Rows: t.Digest.Rows, Message: what}
			if e := entries[x.TableEntry(t)]; e != nil {
				l.Schema, l.Table = e.Schema, e.Name
			} else {
				l.Message = fmt.Sprintf("rows of the table with OID %d: %s", t.OID, what)
			}
			losses = append(losses, l)
		}
	}
	return losses
}

// copyStreams copies all streams, frame by frame in the order of the volumes, each to the writer that to yields for it.
func (x *Reader) copyStreams(ctx context.Context, jobs int, to func(*Stream) (*Writer, error)) error {
	type target struct {
		w  *Writer
		id StreamID
	}
	targets := make([]target, len(x.streams)+1)
	return x.eachFrame(ctx, jobs, func(v *volume, i int, f *Frame) error {
		r := v.frames.at(i)
		id := r.stream + v.base
		s, t := &x.streams[id-1], &targets[id]
		switch r.typ {
		case FrameStream:
			w, err := to(s)
			if err != nil {
				return err
			}
			t.w = w
			t.id, err = w.OpenStream(s.StreamInfo)
			return err
		case FrameBlock:
			f.hdr.stream = t.id
			return t.w.Append(f)
		case FrameStreamEnd:
			end, err := parseStreamEnd(f.buf[frameHeaderLen:])
			if err == nil && (end.digest != s.Digest || int64(end.blocks) != int64(s.Blocks)) {
				err = errors.New("it has another digest than the index")
			}
			if err != nil {
				return v.damage(i, err)
			}
			return t.w.CloseStream(t.id, s.Digest)
		}
		return nil
	})
}
