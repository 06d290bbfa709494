package archive

import (
	"errors"
	"fmt"
)

// unpacker turns payloads into raw bytes, reusing its memory. One goroutine at a time.
type unpacker struct {
	codecs [CodecGzip + 1]decompressor
	buf    []byte
}

var errPayloadCRC = errors.New("checksum of the frame's bytes does not match")

// unpack checks payload against h and decompresses it. What it returns is valid until the next call and as long
// as payload is. h has been validated, so its lengths are within the limits.
func (u *unpacker) unpack(h *frameHeader, payload []byte) ([]byte, error) {
	if checksum(payload) != h.payloadCRC {
		return nil, errPayloadCRC
	}
	if h.codec == CodecNone {
		return payload, nil
	}
	if !h.codec.known() {
		return nil, fmt.Errorf("%w: unknown %s", ErrVersion, h.codec)
	}
	d := u.codecs[h.codec]
	if d == nil {
		var err error
		if d, err = newDecompressor(h.codec); err != nil {
			return nil, err
		}
		u.codecs[h.codec] = d
	}
	u.buf = grow(u.buf, int(h.raw))
	n, err := d.decompress(u.buf, payload)
	if err == nil && n != len(u.buf) {
		err = fmt.Errorf("%d bytes in place of %d", n, len(u.buf))
	}
	if err != nil {
		return nil, fmt.Errorf("decompress with %s: %w", h.codec, err)
	}
	return u.buf, nil
}

// grow returns a slice of n bytes, b's own memory if that is enough.
func grow(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}
