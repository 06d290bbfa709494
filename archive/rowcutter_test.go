package archive

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Whatever the pieces and the buffers, runs are whole rows or the parts of one, and digest as the text does.
func TestRowCutter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 40).Draw(t, "size")
		var text []byte
		for _, n := range rapid.SliceOfN(rapid.IntRange(0, 100), 0, 30).Draw(t, "rows") {
			text = append(text, strings.Repeat("x", n)...)
			text = append(text, '\n')
		}
		var got []byte
		next := uint32(0)
		d := NewRunDigest("")
		c := &RowCutter{
			Grab: func() ([]byte, error) { return make([]byte, 0, size), nil },
			Emit: func(run []byte, part uint32, more bool) error {
				got = append(got, run...)
				switch {
				case len(run) == 0 || len(run) > size || part != next:
					t.Fatalf("run of %d bytes, part %d, expected %d", len(run), part, next)
				case more:
					next = part + 1
					if bytes.IndexByte(run, '\n') >= 0 {
						t.Fatal("a row ends in a part that goes on")
					}
				default:
					next = 0
					if run[len(run)-1] != '\n' || part > 0 && bytes.Count(run, []byte{'\n'}) != 1 {
						t.Fatalf("run %q, part %d", run, part)
					}
				}
				return d.Add(run, part, more)
			},
		}
		for rest := text; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			if err := c.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		var want Digest
		if err := want.AddRows(text); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, text) || d.Digest != want {
			t.Fatalf("got %q, want %q; digest %s, want %s", got, text, d.Digest, want)
		}
	})
}

func TestRowCutterOpenRow(t *testing.T) {
	for _, text := range []string{"a", "a\nb", strings.Repeat("x", 30), "a\n" + strings.Repeat("x", 30)} {
		c := &RowCutter{
			Grab: func() ([]byte, error) { return make([]byte, 0, 8), nil },
			Emit: func([]byte, uint32, bool) error { return nil },
		}
		if err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); !errors.Is(err, ErrOpenRow) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
