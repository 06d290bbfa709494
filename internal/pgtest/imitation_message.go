package pgtest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// readPacket reads a length and as many bytes, and puts them after prefix.
func readPacket(src io.Reader, prefix []byte) ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(src, head); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head)
	if n < 4 || n > maxMessage {
		return nil, fmt.Errorf("message of %d bytes", n)
	}
	packet := append(slices.Clone(prefix), head...)
	body := make([]byte, n-4)
	if _, err := io.ReadFull(src, body); err != nil {
		return nil, err
	}
	return append(packet, body...), nil
}

// message is the ErrorResponse.
func (r Refusal) message() []byte {
	var body bytes.Buffer
	for _, field := range []string{"S", "C", "M", "D", "H", "F", "L", "R"} {
		if r[field] != "" {
			body.WriteString(field + r[field] + "\x00")
		}
	}
	body.WriteByte(0)
	out := binary.BigEndian.AppendUint32([]byte{'E'}, uint32(4+body.Len())) //nolint:gosec // a short text
	return append(out, body.Bytes()...)
}

// RecordRefusal asks a server for a session from a local address, with startup parameters, and gives the error with
// which it refuses.
func RecordRefusal(tb testing.TB, from, addr string, parameters ...string) Refusal {
	tb.Helper()
	d := net.Dialer{Timeout: 10 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // a throw-away session
	body := strings.Join(parameters, "\x00") + "\x00\x00"
	packet := binary.BigEndian.AppendUint32(nil, uint32(8+len(body))) //nolint:gosec // a short text
	packet = binary.BigEndian.AppendUint32(packet, codeProtocol3)
	if _, err := conn.Write(append(packet, body...)); err != nil {
		tb.Fatal(err)
	}
	for {
		typ := make([]byte, 1)
		if _, err := io.ReadFull(conn, typ); err != nil {
			tb.Fatal(err)
		}
		message, err := readPacket(conn, typ)
		if err != nil {
			tb.Fatal(err)
		}
		switch typ[0] {
		case 'E':
			r := Refusal{}
			for field := range strings.SplitSeq(strings.TrimRight(string(message[5:]), "\x00"), "\x00") {
				r[field[:1]] = field[1:]
			}
			return r
		case 'Z':
			tb.Fatalf("%s let a session in: %q", addr, parameters)
		}
	}
}
