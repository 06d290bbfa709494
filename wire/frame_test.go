package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func frame(typ byte, body string) string {
	return string(binary.BigEndian.AppendUint32([]byte{typ}, uint32(4+len(body)))) + body
}

// aStream holds one of each kind of message.
func aStream() string {
	return frame(msgParameterStatus, "a\x00b\x00") +
		frame(msgRowDescription, "\x00\x01a\x00"+strings.Repeat("\x00", 18)) +
		frame(msgDataRow, "\x00\x02\x00\x00\x00\x01x\xff\xff\xff\xff") +
		frame(msgCommandComplete, "SELECT 1\x00") +
		frame(msgNotice, "SWARNING\x00Mcareful\x00\x00") +
		frame(msgReadyForQuery, "I") +
		frame(msgCopyOut, "\x00\x00\x01\x00\x00") +
		frame(msgCopyData, "row\n") + frame(msgCopyData, strings.Repeat("y", 3*readBuffer)+"\n") +
		frame(msgCopyDone, "") + frame(msgCommandComplete, "COPY 2\x00") +
		frame(msgError, "SERROR\x00C42P01\x00Mnone\x00\x00") + frame(msgReadyForQuery, "E")
}

// scan reads messages to the end and writes them out again.
func scan(r io.Reader) (string, error) {
	s := newScanner(r)
	var b strings.Builder
	for {
		typ, body, err := s.next()
		if err != nil {
			return b.String(), err
		}
		b.WriteString(frame(typ, string(body)))
	}
}

func TestScannerGivesBackWhatItRead(t *testing.T) {
	for _, r := range []io.Reader{strings.NewReader(aStream()), iotest.HalfReader(strings.NewReader(aStream())), iotest.DataErrReader(strings.NewReader(aStream()))} {
		got, err := scan(r)
		if !errors.Is(err, io.ErrUnexpectedEOF) || got != aStream() {
			t.Errorf("%d bytes of %d, %v", len(got), len(aStream()), err)
		}
	}
}

// Cut off anywhere, a stream gives whole messages and then an error.
func TestScannerTruncated(t *testing.T) {
	stream := frame(msgCopyData, "row\n") + frame(msgCommandComplete, "COPY 1\x00") + frame(msgReadyForQuery, "I")
	for n := range len(stream) {
		got, err := scan(iotest.OneByteReader(strings.NewReader(stream[:n])))
		if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.HasPrefix(stream[:n], got) {
			t.Errorf("cut at %d: %q, %v", n, got, err)
		}
	}
}

// A length that is announced and never comes costs no memory.
func TestScannerDoesNotBelieveLengths(t *testing.T) {
	for _, typ := range []byte{msgDataRow, msgError, msgCopyData} {
		head := binary.BigEndian.AppendUint32([]byte{typ}, uint32(maxLength(typ)))
		s := newScanner(bytes.NewReader(append(head, make([]byte, readBuffer)...)))
		if _, _, err := s.next(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: %v", typ, err)
		}
		if cap(s.big) > 4*growAtLeast {
			t.Errorf("%q: %d bytes were allocated", typ, cap(s.big))
		}
		binary.BigEndian.PutUint32(head[1:], uint32(maxLength(typ))+1)
		if _, _, err := newScanner(bytes.NewReader(head)).next(); !errors.Is(err, ErrProtocol) {
			t.Errorf("%q, too long: %v", typ, err)
		}
	}
	for _, head := range []string{"Z\x00\x00\x00\x03", "Z\x00\x00\x00\x06", "Z\xff\xff\xff\xff", "c\x00\x00\x00\x05", "?\x00\x00\x00\x04", "R\x00\x00\x00\x08", "\x00\x00\x00\x00\x00", "HTTP/"} {
		if _, _, err := newScanner(strings.NewReader(head)).next(); !errors.Is(err, ErrProtocol) {
			t.Errorf("%q: %v", head, err)
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte(frame(msgReadyForQuery, "I")), 1)
	f.Add([]byte(frame(msgCopyOut, "\x00\x00\x00")+frame(msgCopyData, "row\n")+frame(msgCopyDone, "")), 100)
	f.Add([]byte(frame(msgError, "SERROR\x00C42P01\x00Mnone\x00\x00")+frame(msgDataRow, "\x00\x01\x00\x00\x00\x01x")), 7)
	f.Add([]byte("d\x00\x00\x00\x04d\xff\xff\xff\xff"), 3)
	f.Fuzz(func(t *testing.T, stream []byte, size int) {
		got, err := scan(iotest.HalfReader(bytes.NewReader(stream)))
		if err == nil || !bytes.HasPrefix(stream, []byte(got)) {
			t.Errorf("%q scans as %q, %v", stream, got, err)
		}
		// The same as the server's answer to a query, and to a COPY.
		for _, copying := range []bool{false, true} {
			c := &Conn{in: newScanner(bytes.NewReader(stream)), nc: discardConn{}, socket: &socket{Conn: discardConn{}}, route: &route{network: "tcp", address: "fuzz"}, cfg: &Config{}, params: map[string]string{}}
			c.lengths, c.sent = []int{1}, 1
			if !copying {
				r := result{conn: c, fn: func(Row) error { return nil }}
				_ = r.read() // any error is right, a panic or a hang is not
				continue
			}
			o, err := c.nextCopyOut()
			buf := make([]byte, 1+min(max(size, 0), 1000))
			for err == nil {
				var n int
				if n, _, err = o.Fill(t.Context(), buf); err == nil && n == 0 {
					t.Fatal("Fill gives nothing and no error")
				}
			}
		}
	})
}
