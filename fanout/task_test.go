package fanout

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pgark/pgark/archive"
)

// Numbers of streams survive being packed, in any number and order.
func TestPackStreams(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most = 5000
		ids := rapid.SliceOfDistinct(rapid.Custom(func(t *rapid.T) archive.StreamID {
			return archive.StreamID(rapid.IntRange(1, most).Draw(t, "id"))
		}), func(id archive.StreamID) archive.StreamID { return id }).Draw(t, "ids")
		got, err := unpackStreams(packStreams(slices.Clone(ids)), most)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(ids)
		if !slices.Equal(got, ids) {
			t.Fatalf("got %v, want %v", got, ids)
		}
	})
	var all []archive.StreamID
	for i := range 10000 {
		all = append(all, archive.StreamID(i+1))
	}
	if n := len(packStreams(all)); n > 3 {
		t.Errorf("10,000 streams in a row take %d bytes", n)
	}
}

// A list that names streams which there aren't, or very many, is refused before memory is spent on it.
func FuzzUnpackStreams(f *testing.F) {
	f.Add([]byte{1, 5})
	f.Add([]byte{0, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Add([]byte{0x80})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		const most = 100
		ids, err := unpackStreams(b, most)
		if err != nil {
			if !errors.Is(err, ErrJob) {
				t.Errorf("%v is no error about a job", err)
			}
			return
		}
		if len(ids) > most+1 || slices.ContainsFunc(ids, func(id archive.StreamID) bool { return id > most }) || !slices.IsSorted(ids) {
			t.Errorf("%v", ids)
		}
	})
}

// Tasks survive the command line of every segment.
func TestPackTasks(t *testing.T) {
	tasks := []Task{
		{Do: TaskLoad, Version: JobVersion, From: 1, Node: "seg0", Path: "/it's $(here) gr\xfc\xdfe", Load: &LoadSpec{Identity: "a", Setup: Texts{"SET a", "\x00", "\xff"}, Tables: []LoadTable{{SQL: "COPY gr\xfc\xdfe"}}}},
		{Do: TaskRead, Version: JobVersion, From: 2, Node: "seg1", Path: "/b", Streams: []byte{1, 2}},
	}
	text, err := packTasks(tasks, []Place{{Content: 0}, {Content: 7}})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		t.Errorf("%q means something to a shell", text)
	}
	for i, content := range []int{0, 7} {
		got, ok, err := UnpackTask(text, content)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		if diff := cmp.Diff(&tasks[i], got); diff != "" {
			t.Error(diff)
		}
	}
	if _, ok, err := UnpackTask(text, 3); ok || err != nil {
		t.Errorf("a segment without a task: %v, %v", ok, err)
	}
	for _, broken := range []string{"", "!", text[:len(text)/2], "AAAA"} {
		if _, _, err := UnpackTask(broken, 0); !errors.Is(err, ErrJob) {
			t.Errorf("%.20q: %v", broken, err)
		}
	}
	long := []Task{{}}
	var noise bytes.Buffer
	for i := range 200000 {
		noise.WriteByte(byte(i * i * 7919 >> 5))
	}
	long[0].Streams = noise.Bytes()
	if _, err := packTasks(long, []Place{{}}); err != nil && !strings.Contains(err.Error(), "started by ssh") {
		t.Errorf("too long for a command line: %v", err)
	}
}

// Long answers of several workers, mixed line by line, come out as they went in, and no line is longer than a database takes.
func TestPieces(t *testing.T) {
	var lines [2][][]byte
	var want [2]WorkerLine
	for i := range want {
		text := bytes.Repeat([]byte{byte('a' + i), '\n', 0, '"'}, (i+1)*maxPiece/3)
		want[i] = WorkerLine{From: uint32(i + 1), Data: &WorkerData{Offset: 7, Bytes: text}}
		var out bytes.Buffer
		w := &lineWriter{w: &out, from: uint32(i + 1)}
		if err := w.write(want[i]); err != nil {
			t.Fatal(err)
		}
		lines[i] = bytes.Split(bytes.TrimSuffix(out.Bytes(), []byte{'\n'}), []byte{'\n'})
		if len(lines[i]) < 2 {
			t.Fatalf("one line of %d bytes", len(lines[i][0]))
		}
		for _, line := range lines[i] {
			if len(line) > 1<<20 {
				t.Errorf("a line of %d bytes", len(line))
			}
		}
	}
	var p pieces
	got := 0
	for k := range max(len(lines[0]), len(lines[1])) {
		for i := range lines {
			if k >= len(lines[i]) {
				continue
			}
			line, err := p.add(lines[i][k])
			if err != nil {
				t.Fatal(err)
			}
			if line == nil {
				continue
			}
			got++
			if line.From != want[i].From || line.Data == nil || line.Data.Offset != 7 || !bytes.Equal(line.Data.Bytes, want[i].Data.Bytes) {
				t.Errorf("worker %d: another answer came out than went in", i)
			}
		}
	}
	if got != 2 || len(p.open) != 0 {
		t.Errorf("%d answers, %d open", got, len(p.open))
	}
}

// Whatever a worker answers, or who says that it is one: an error, no panic, and nothing kept without a bound.
func FuzzPieces(f *testing.F) {
	for _, line := range []WorkerLine{
		{Hello: &WorkerHello{Tool: "pgark", Job: 1}},
		{From: 2, Piece: []byte(`{"done":true}`)},
		{From: 2, Piece: []byte(`{"piece":"e30="}`)},
		{From: 2, Piece: []byte("{"), More: true},
	} {
		b, err := json.Marshal(line)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, b)
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var p pieces
		for _, line := range [][]byte{a, b} {
			got, err := p.add(line)
			if err == nil && got != nil && got.Piece != nil {
				t.Errorf("a piece came out whole: %q", line)
			}
		}
	})
}

// What a worker says of a volume is kept only where it can belong.
func TestRemoteTakesNoNonsense(t *testing.T) {
	for name, line := range map[string]*WorkerLine{
		"before its size":  {Data: &WorkerData{Offset: 0, Bytes: []byte("x")}},
		"behind its end":   {Data: &WorkerData{Offset: 99, Bytes: []byte("xy")}},
		"before its begin": {Data: &WorkerData{Offset: -1, Bytes: []byte("x")}},
		"overflow":         {Data: &WorkerData{Offset: 1<<63 - 1, Bytes: []byte("x")}},
		"result":           {Result: &WorkerResult{}},
	} {
		v := &remoteVolume{size: 100}
		if name == "before its size" {
			v.size = 0
		}
		if err := v.take(line, RemoteOptions{TempDir: t.TempDir()}); !errors.Is(err, ErrWorker) {
			t.Errorf("%s: %v", name, err)
		}
		if v.copy != nil {
			t.Errorf("%s: a file was made", name)
		}
	}
}
