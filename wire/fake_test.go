package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// discardConn is a socket that takes everything and says nothing.
type discardConn struct{ net.Conn }

func (discardConn) Write(p []byte) (int, error)      { return len(p), nil }
func (discardConn) Close() error                     { return nil }
func (discardConn) SetDeadline(time.Time) error      { return nil }
func (discardConn) SetReadDeadline(time.Time) error  { return nil }
func (discardConn) SetWriteDeadline(time.Time) error { return nil }

// scripted is a session whose server says what real ones never say. Everything else is tested with real servers.
func scripted(answer string) *Conn {
	return &Conn{
		in: newScanner(bytes.NewReader([]byte(answer))), nc: discardConn{}, socket: &socket{Conn: discardConn{}}, cfg: &Config{},
		route: &route{network: "tcp", address: "scripted:1"}, params: map[string]string{}, status: 'I',
	}
}

func TestMalformedAnswers(t *testing.T) {
	ready := frame(msgReadyForQuery, "I")
	for name, answer := range map[string]string{
		"state":             frame(msgReadyForQuery, "X"),
		"tag":               frame(msgCommandComplete, "SELECT 1") + ready,
		"tag and more":      frame(msgCommandComplete, "SELECT 1\x00x") + ready,
		"error":             frame(msgError, "SERROR") + ready,
		"error and more":    frame(msgError, "SERROR\x00\x00x") + ready,
		"description":       frame(msgRowDescription, "") + ready,
		"row without":       frame(msgDataRow, "\x00\x01\x00\x00\x00\x01x") + ready,
		"row of 2 columns":  frame(msgRowDescription, "\x00\x01") + frame(msgDataRow, "\x00\x02\x00\x00\x00\x01x") + ready,
		"row, column cut":   frame(msgRowDescription, "\x00\x01") + frame(msgDataRow, "\x00\x01\x00\x00\x00\x02x") + ready,
		"row, length cut":   frame(msgRowDescription, "\x00\x01") + frame(msgDataRow, "\x00\x01\x00\x00") + ready,
		"row, negative":     frame(msgRowDescription, "\x00\x01") + frame(msgDataRow, "\x00\x01\xff\xff\xff\xfe") + ready,
		"row and more":      frame(msgRowDescription, "\x00\x01") + frame(msgDataRow, "\x00\x01\x00\x00\x00\x01xy") + ready,
		"parameter":         frame(msgParameterStatus, "a\x00b") + ready,
		"unknown":           frame('?', "") + ready,
		"nothing":           "",
		"copy, both":        frame('W', "\x00\x00\x00") + ready,
		"authentication":    frame('R', "\x00\x00\x00\x00") + ready,
		"half a message":    ready[:3],
		"answer never ends": frame(msgCommandComplete, "SELECT 1\x00"),
	} {
		c := scripted(answer)
		err := c.Query(testContext(t), "SELECT 1", func(Row) error { return nil })
		if !IsConnLost(err) || c.Err() == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Greenplum's coordinator sends rows of several segments in one message. Where that is larger than the caller's buffer,
// each part is still of whole rows, or of one row only.
func TestCopyOutRowsInOneMessage(t *testing.T) {
	t.Parallel()
	var message, want strings.Builder
	for i, size := range []int{70, 0, 30, 100, 99, 1, 250, 5, 3 * readBuffer, 7, 2 * readBuffer, 0} {
		message.WriteString(strings.Repeat(string(rune('a'+i)), size) + "\n")
	}
	answer := frame(msgCopyOut, "\x00\x00\x00")
	for range 3 {
		answer += frame(msgCopyData, message.String()) + frame(msgCopyData, "row\n")
		want.WriteString(message.String() + "row\n")
	}
	answer += frame(msgCopyDone, "") + frame(msgCommandComplete, "COPY 39\x00") + frame(msgReadyForQuery, "I")
	for _, size := range []int{99, 100, 101, 102, 103, 1000, readBuffer, 3*readBuffer + 1, 4 * readBuffer, 10 * readBuffer} {
		o, err := scripted(answer).CopyOut(testContext(t), "COPY t TO STDOUT")
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, size)
		var got []byte
		for inRow := false; ; {
			n, open, err := o.Fill(testContext(t), buf)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("buffer of %d: %v", size, err)
			}
			rows := bytes.Count(buf[:n], []byte{'\n'})
			if n == 0 || open != (buf[n-1] != '\n') || open && (rows > 0 || n < size) || inRow && rows > 1 {
				t.Fatalf("buffer of %d: %d bytes, %d rows, open %v after %v", size, n, rows, open, inRow)
			}
			inRow = open
			got = append(got, buf[:n]...)
		}
		if string(got) != want.String() {
			t.Errorf("buffer of %d: %d other bytes came, want %d", size, len(got), want.Len())
		}
	}
}

func TestMalformedCopy(t *testing.T) {
	begin, done := frame(msgCopyOut, "\x00\x00\x00"), frame(msgCopyDone, "")
	end := frame(msgCommandComplete, "COPY 1\x00") + frame(msgReadyForQuery, "I")
	row := frame(msgCopyData, "row\n")
	for name, tc := range map[string]struct {
		answer string
		want   error
	}{
		"good":             {begin + row + done + end, io.EOF},
		"several in one":   {begin + frame(msgCopyData, "a\nb\n") + done + strings.Replace(end, "COPY 1", "COPY 2", 1), io.EOF},
		"notice within":    {begin + frame(msgNotice, "\x00") + row + frame(msgNotice, "\x00") + done + end, io.EOF},
		"one too few":      {begin + done + end, ErrRowCount},
		"one too many":     {begin + row + row + done + end, ErrRowCount},
		"no line feed":     {begin + frame(msgCopyData, "row") + done + end, ErrProtocol},
		"no line feed, 2":  {begin + row + frame(msgCopyData, strings.Repeat("x", 500)) + done + end, ErrProtocol},
		"no row":           {begin + frame(msgCopyData, "") + done + end, ErrProtocol},
		"no begin":         {row + done + end, nil},
		"short begin":      {frame(msgCopyOut, "\x00") + row + done + end, ErrProtocol},
		"data row":         {begin + frame(msgDataRow, "\x00\x00") + done + end, ErrProtocol},
		"no done":          {begin + row + end, ErrProtocol},
		"row after done":   {begin + row + done + row + end, nil},
		"ready at once":    {begin + row + frame(msgReadyForQuery, "I"), ErrProtocol},
		"end of the world": {begin + row, ErrConnLost},
	} {
		for _, size := range []int{1, 3, 4, 100, 1000} {
			c := scripted(tc.answer)
			o, err := c.CopyOut(testContext(t), "COPY t TO STDOUT")
			for err == nil {
				_, _, err = o.Fill(testContext(t), make([]byte, size))
			}
			if tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("%s, buffer of %d: %v", name, size, err)
			}
			if errors.Is(err, io.EOF) != (tc.want == io.EOF) && tc.want != nil { //nolint:errorlint // compares expectations
				t.Errorf("%s, buffer of %d: ended with %v", name, size, err)
			}
		}
	}
}
