package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The limits of one message. Its length is sent before it, and is not believed: memory grows as bytes arrive.
const (
	readBuffer  = 256 << 10
	headerLen   = 5              // type, and length without the type
	maxMessage  = 64 << 20       // errors, notices, row descriptions
	maxDataLen  = 0x3fffffff + 4 // one row: the server allocates no more than 1 GiB - 1 for it
	growAtLeast = 1 << 20        // how much a message larger than the buffer grows at a time, at least
)

// Types of messages from the server, see https://www.postgresql.org/docs/current/protocol-message-formats.html.
const (
	msgCommandComplete = 'C'
	msgCopyData        = 'd'
	msgCopyDone        = 'c'
	msgCopyIn          = 'G'
	msgCopyOut         = 'H'
	msgDataRow         = 'D'
	msgEmptyQuery      = 'I'
	msgError           = 'E'
	msgNotice          = 'N'
	msgNotification    = 'A'
	msgParameterStatus = 'S'
	msgReadyForQuery   = 'Z'
	msgRowDescription  = 'T'
)

// maxLength gives how long a message of a type may be, 0 if there is no such type in a running session.
func maxLength(typ byte) int {
	switch typ {
	case msgCopyData, msgDataRow:
		return maxDataLen
	case msgError, msgNotice, msgRowDescription, msgNotification, msgParameterStatus, msgCommandComplete:
		return maxMessage
	case msgCopyDone, msgEmptyQuery:
		return 4
	case msgReadyForQuery:
		return 5
	case msgCopyIn, msgCopyOut:
		return 4 + 3 + 2*1664 // format, number of columns, format of each; a relation has 1600 columns, a result 1664
	default:
		return 0
	}
}

// scanner cuts a stream of bytes into messages. It owns a read buffer; what it returns is valid until its next call.
type scanner struct {
	src  io.Reader
	bulk bool // rows are streaming: see pace
	pace pace
	buf  []byte
	r, w int    // buf[r:w] has been read from src and not been used
	skip int    // bytes to pass over before the next header
	big  []byte // a message that does not fit into buf
}

func newScanner(src io.Reader) *scanner {
	return &scanner{src: src, buf: make([]byte, readBuffer)}
}

// more reads once from src. It must be called only if the buffer isn't full of unused bytes.
func (s *scanner) more() error {
	if s.r == s.w {
		s.r, s.w = 0, 0
	} else if len(s.buf)-s.w < len(s.buf)/2 {
		s.w = copy(s.buf, s.buf[s.r:s.w])
		s.r = 0
	}
	n, err := s.fetch(s.buf[s.w:])
	s.w += n
	if n > 0 {
		return nil // an error comes again
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF // a server never ends a session without a message in between, as far as we read
	}
	return err
}

// fetch reads once from src.
func (s *scanner) fetch(p []byte) (int, error) {
	if s.bulk {
		s.pace.wait()
	}
	n, err := s.src.Read(p)
	s.pace.brought(n, n == len(p))
	return n, err
}

// head reads the header of the next message, without using it up, and checks it. n is the length of the body.
func (s *scanner) head() (typ byte, n int, err error) {
	for s.skip > 0 || s.w-s.r < headerLen {
		if n := min(s.skip, s.w-s.r); n > 0 {
			s.skip -= n
			s.r += n
			continue
		}
		if err := s.more(); err != nil {
			return 0, 0, err
		}
	}
	return parseHeader(s.buf[s.r:s.w])
}

// parseHeader checks the type and the length of a message. b holds at least its header.
func parseHeader(b []byte) (typ byte, n int, err error) {
	typ = b[0]
	length := binary.BigEndian.Uint32(b[1:headerLen])
	limit := maxLength(typ)
	if limit == 0 {
		return 0, 0, fmt.Errorf("%w: message of unknown or misplaced type %q", ErrProtocol, typ)
	}
	if length < 4 || uint64(length) > uint64(limit) {
		return 0, 0, fmt.Errorf("%w: message of type %q with length %d", ErrProtocol, typ, length)
	}
	return typ, int(length) - 4, nil
}

// pass passes over the message whose header head has just read; n is the length of its body.
func (s *scanner) pass(n int) {
	s.r += headerLen
	s.skip = n
}

// next reads one whole message. The body is valid until the next call.
func (s *scanner) next() (typ byte, body []byte, err error) {
	if cap(s.big) > 4*growAtLeast {
		s.big = nil // one huge row must not hold its memory for the rest of the session
	}
	typ, n, err := s.head()
	if err != nil {
		return 0, nil, err
	}
	if headerLen+n > len(s.buf) {
		s.r += headerLen
		body, err = s.nextBig(n)
		return typ, body, err
	}
	for s.w-s.r < headerLen+n {
		if err := s.more(); err != nil {
			return 0, nil, err
		}
	}
	body = s.buf[s.r+headerLen : s.r+headerLen+n]
	s.r += headerLen + n
	return typ, body, nil
}

// nextBig reads a body that the buffer can't hold. Memory at most doubles what has arrived.
func (s *scanner) nextBig(n int) ([]byte, error) {
	s.big = append(s.big[:0], s.buf[s.r:s.w]...)
	s.r, s.w = 0, 0
	for len(s.big) < n {
		if len(s.big) == cap(s.big) {
			grown := make([]byte, len(s.big), min(n, 2*len(s.big)+growAtLeast))
			copy(grown, s.big)
			s.big = grown
		}
		m, err := s.src.Read(s.big[len(s.big):min(n, cap(s.big))])
		s.big = s.big[:len(s.big)+m]
		if m == 0 && err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return s.big, nil
}

// await reads until the buffer holds n bytes, or is full.
func (s *scanner) await(n int) error {
	for s.w-s.r < n && s.w-s.r < len(s.buf) {
		if err := s.more(); err != nil {
			return err
		}
	}
	return nil
}

// read copies bytes of a body whose header has been used up: first what is buffered, else straight from src.
func (s *scanner) read(p []byte) (int, error) {
	if s.r < s.w {
		n := copy(p, s.buf[s.r:s.w])
		s.r += n
		return n, nil
	}
	n, err := s.fetch(p)
	if n > 0 || err == nil {
		return n, nil
	}
	if errors.Is(err, io.EOF) {
		return 0, io.ErrUnexpectedEOF
	}
	return 0, err
}

// cutString takes a string that ends with a NUL off the front of b.
func cutString(b []byte) (text string, rest []byte, ok bool) {
	head, rest, ok := bytes.Cut(b, []byte{0})
	return string(head), rest, ok
}
