package archive

import (
	"bytes"
	"context"
	"errors"
	"io"
)

// A scan reads a volume front to back by its frames alone, without index or trailer. Where no valid frame begins
// it looks for the next one, byte by byte.

// scanKind says what a scan found.
type scanKind uint8

const (
	scanFrame   scanKind = 1 // a frame whose checksums match
	scanBad     scanKind = 2 // a frame header that is sound; its payload is damaged or not all there
	scanGap     scanKind = 3 // bytes in which no frame begins
	scanTrailer scanKind = 4 // a sound trailer, at the end
)

// found is one thing that a scan came across.
type found struct {
	kind    scanKind
	offset  int64
	size    int64       // bytes it takes in the volume
	hdr     frameHeader // of frames
	payload []byte      // of a sound frame, valid until the callback returns
	err     error       // what is wrong with a bad frame, or an ErrVersion of a frame that only a later version knows
	trailer trailer
}

type scanner struct {
	r      io.ReaderAt
	size   int64
	tag    *[8]byte // frames of other volumes are no frames; nil takes all
	buf    []byte
	search magicSearch
}

// scan calls fn for all of the volume in order. It ends with the first error of fn, of the reader below, or of ctx.
func scan(ctx context.Context, r io.ReaderAt, size int64, tag *[8]byte, fn func(*found) error) error {
	s := &scanner{r: r, size: size, tag: tag}
	for at := int64(0); at < size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		f, err := s.at(at)
		if err != nil {
			return err
		}
		if f.kind == scanGap {
			next, err := s.resync(ctx, at+1)
			if err != nil {
				return err
			}
			f.size = next - at
		}
		if err := fn(&f); err != nil {
			return err
		}
		at += f.size
	}
	return nil
}

// at looks at what begins at offset.
func (s *scanner) at(offset int64) (found, error) {
	f := found{kind: scanGap, offset: offset}
	if offset == s.size-trailerLen {
		b := make([]byte, trailerLen)
		if err := readAt(s.r, b, offset); err != nil {
			return f, err
		}
		if t, err := decodeTrailer(b); err == nil && (s.tag == nil || t.id.tag() == *s.tag) {
			return found{kind: scanTrailer, offset: offset, size: trailerLen, trailer: t}, nil
		}
	}
	h, err := s.header(offset)
	if h == nil {
		return f, err
	}
	f.hdr = *h
	f.err = err
	f.size = h.size()
	if offset+f.size > s.size {
		f.kind, f.size = scanBad, frameHeaderLen
		f.err = &DamageError{Offset: s.size, Message: "the volume ends within the frame", Err: ErrTruncated}
		return f, nil
	}
	s.buf = grow(s.buf, int(h.stored))
	if err := readAt(s.r, s.buf, offset+frameHeaderLen); err != nil {
		return f, err
	}
	if checksum(s.buf) == h.payloadCRC {
		f.kind, f.payload = scanFrame, s.buf
		return f, nil
	}
	f.kind, f.err = scanBad, errPayloadCRC
	if !s.plausible(offset + f.size) { // bytes were lost: the next frame begins before this one ends
		f.size = frameHeaderLen
	}
	return f, nil
}

// header reads the frame header at offset: nil, nil if there is none.
func (s *scanner) header(offset int64) (*frameHeader, error) {
	if s.size-offset < frameHeaderLen {
		return nil, nil
	}
	var b [frameHeaderLen]byte
	if err := readAt(s.r, b[:], offset); err != nil {
		return nil, err
	}
	h, err := parseFrameHeader(b[:])
	if err != nil && !errors.Is(err, ErrVersion) || s.tag != nil && h.tag != *s.tag {
		return nil, nil
	}
	return &h, err
}

// plausible says whether a frame can end at offset.
func (s *scanner) plausible(offset int64) bool {
	if offset >= s.size-trailerLen {
		return true
	}
	h, _ := s.header(offset)
	return h != nil
}

const resyncWindow = 1 << 20

// resync returns the offset of the next frame at or after from: the trailer's or the volume's end if there is none.
func (s *scanner) resync(ctx context.Context, from int64) (int64, error) {
	at, found, err := s.search.next(ctx, s.r, s.size, from, func(at int64) (int64, bool) {
		h, _ := s.header(at)
		return at, h != nil
	})
	if err != nil || found {
		return at, err
	}
	return s.end(at), nil
}

// magicSearch looks for what frames begin with. Its memory, at most resyncWindow, is used again.
type magicSearch struct{ win []byte }

// next asks accept of each magic at or after from whether something begins there, and where. If there is nothing, at is where the last
// look began.
func (s *magicSearch) next(ctx context.Context, r io.ReaderAt, size, from int64, accept func(at int64) (int64, bool)) (at int64, found bool, err error) {
	if s.win == nil {
		s.win = make([]byte, min(resyncWindow, size))
	}
	for from < size {
		if err := ctx.Err(); err != nil {
			return 0, false, err
		}
		win := s.win[:min(int64(len(s.win)), size-from)]
		if err := readAt(r, win, from); err != nil {
			return 0, false, err
		}
		for i := 0; ; i++ {
			n := bytes.Index(win[i:], []byte(frameMagic))
			if n < 0 {
				break
			}
			i += n
			if at, ok := accept(from + int64(i)); ok {
				return at, true, nil
			}
		}
		if from+int64(len(win)) == size {
			break
		}
		from += int64(len(win)) - int64(len(frameMagic)) + 1
	}
	return from, false, nil
}

// end returns where the scan goes on when no frame comes any more: at a sound trailer, else at the end.
func (s *scanner) end(from int64) int64 {
	at := s.size - trailerLen
	if f, err := s.at(max(at, 0)); at >= 0 && err == nil && f.kind == scanTrailer {
		return at
	}
	return s.size
}

// volumeTag finds out which volume most of the bytes in r belong to: what the header says, or else the trailer, or
// else most frames. ok is false where there is no frame at all.
func volumeTag(ctx context.Context, r io.ReaderAt, size int64) (tag [8]byte, ok bool, err error) {
	h, _, err := readHeaderFrame(r, size)
	switch {
	case err == nil:
		return h.ID.tag(), true, nil
	case errors.Is(err, ErrVersion):
		return tag, false, err
	}
	if size >= trailerLen {
		b := make([]byte, trailerLen)
		if err := readAt(r, b, size-trailerLen); err != nil {
			return tag, false, err
		}
		t, err := decodeTrailer(b)
		if err == nil {
			return t.id.tag(), true, nil
		}
		if errors.Is(err, ErrVersion) {
			return tag, false, err
		}
	}
	return majorityTag(ctx, r, size)
}

// maxTags bounds the memory of majorityTag. An archive that holds this many others as rows takes what comes first.
const maxTags = 1024

func majorityTag(ctx context.Context, r io.ReaderAt, size int64) (tag [8]byte, ok bool, err error) {
	bytesOf := map[[8]byte]int64{}
	err = scan(ctx, r, size, nil, func(f *found) error {
		if f.kind == scanFrame && (len(bytesOf) < maxTags || bytesOf[f.hdr.tag] > 0) {
			bytesOf[f.hdr.tag] += f.size
			if bytesOf[f.hdr.tag] > bytesOf[tag] || !ok {
				tag, ok = f.hdr.tag, true
			}
		}
		return nil
	})
	return tag, ok, err
}
