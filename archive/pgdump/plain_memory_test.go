package pgdump

import (
	"io"
	"runtime"
	"strings"
	"testing"
)

// repeated is a file of one text over and over, with a beginning, of any size.
type repeated struct {
	head, text string
	size       int64
}

func (r repeated) ReadAt(p []byte, at int64) (int, error) {
	n := 0
	for n < len(p) && at < r.size {
		from := r.head[min(at, int64(len(r.head))):]
		if from == "" {
			from = r.text[(at-int64(len(r.head)))%int64(len(r.text)):]
		}
		k := copy(p[n:], from)
		n, at = n+k, at+int64(k)
	}
	if n < len(p) || at > r.size {
		return n, io.EOF
	}
	return n, nil
}

// What has no end takes no more memory than there are bytes of a statement, or none where nothing of it is kept.
func TestPlainMemory(t *testing.T) {
	const size = 40 << 20
	title := "--\n-- PostgreSQL database dump\n--\n\n"
	for name, r := range map[string]repeated{
		"rows":           {title + "COPY t (a) FROM stdin;\n", "12345678901234567890\n", size},
		"one row":        {title + "COPY t (a) FROM stdin;\n", strings.Repeat("1234567890", 1000), size},
		"insert":         {title + "INSERT INTO t VALUES ('", strings.Repeat("1234567890", 1000), size},
		"inserts":        {title, "INSERT INTO t VALUES (1234567890, '1234567890');\n", size},
		"block comment":  {title + "/*", strings.Repeat("1234567890", 1000), size},
		"line comments":  {title, "-- 1234567890\n", size},
		"line comment":   {title + "--", strings.Repeat("1234567890", 1000), size},
		"white space":    {title, "          \n", size},
		"word":           {title, strings.Repeat("abcdefghij", 1000), size},
		"number":         {title, strings.Repeat("1234567890", 1000), size},
		"name":           {title + "\"", strings.Repeat("1234567890", 1000), size},
		"after a string": {title + "SELECT E'a'", "          \n", size},
		"dollar tag":     {title + "SELECT $", strings.Repeat("abcdefghij", 1000), size},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := readScript(t.Context(), r, r.size)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Error("it has no end, and is read as if it had")
			}
			most := uint64(36 << 20)
			if name == "line comment" || name == "number" || name == "name" {
				most = 160 << 20 // 16 MiB of it may be kept, in a buffer that grows by doubling
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > most {
				t.Errorf("%d MiB allocated in all", got>>20)
			}
		})
	}
}

// A large statement takes a window of little more than its size, and only as long as it is read.
func TestWindowOfLargeStatement(t *testing.T) {
	const statement = 100 << 20
	r := repeated{"", "1234567890", statement + 4*scriptChunk}
	in := newInput(r, 0, r.size, nil)
	in.keep = 0
	for int64(len(in.buf)) < statement && in.more() {
		in.pos = len(in.buf)
	}
	if got := cap(in.buf); got < statement || got > statement+statement/4+maxIdle {
		t.Errorf("a window of %d MiB", got>>20)
	}
	in.keep = -1
	for in.more() {
		in.pos = len(in.buf)
	}
	if in.err != nil || cap(in.buf) > maxIdle {
		t.Errorf("a window of %d MiB afterwards, %v", cap(in.buf)>>20, in.err)
	}
}
