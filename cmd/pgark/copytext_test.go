package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestCSVReadsBack writes values as COPY text, turns that into CSV in pieces of any size, and reads the same values back.
// Exactly what COPY itself writes is compared in testdata/script/read.txtar.
func TestCSVReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// A line that is one empty field is what encoding/csv skips, and \r\n is what it folds.
		value := rapid.StringMatching(`[a-c,"\n\t\\.N ]*`)
		width := rapid.IntRange(2, 4).Draw(t, "width")
		rows := rapid.SliceOfN(rapid.SliceOfN(value, width, width), 1, 5).Draw(t, "rows")
		var text []byte
		for _, row := range rows {
			for i, v := range row {
				if i > 0 {
					text = append(text, '\t')
				}
				text = appendCopyText(text, v)
			}
			text = append(text, '\n')
		}
		var out bytes.Buffer
		s := &rowShaper{w: &out, fields: width, csv: true}
		for rest := text; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			if err := s.write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		got, err := csv.NewReader(&out).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(rows, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRowShaper(t *testing.T) {
	for _, tc := range []struct {
		name     string
		in, want string
		fields   int
		pick     []int
		csv      bool
	}{
		{"null and empty", "\\N\t\n", ",\"\"\n", 2, nil, true},
		{"a text that looks like null", `\\N` + "\n", `\N` + "\n", 1, nil, true},
		{"end of data alone", `\\.` + "\n", `"\."` + "\n", 1, nil, true},
		{"end of data among others", `\\.` + "\tx\n", `\.,x` + "\n", 2, nil, true},
		{"quotes", "say \"hi\"\n", "\"say \"\"hi\"\"\"\n", 1, nil, true},
		{"escapes", `\b\f\n\r\t\v\101\x41\q` + "\n", "\"\b\f\n\r\t\vAAq\"\n", 1, nil, true},
		{"picked, not unescaped", "a\\tb\tc\n", "c\ta\\tb\n", 2, []int{1, 0}, false},
		{"no columns", "\n\n", "\n\n", 0, nil, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			s := &rowShaper{w: &out, fields: tc.fields, pick: tc.pick, csv: tc.csv}
			if err := s.write([]byte(tc.in)); err != nil {
				t.Fatal(err)
			}
			if out.String() != tc.want {
				t.Errorf("%q, not %q", out.String(), tc.want)
			}
		})
	}
	s := &rowShaper{w: &bytes.Buffer{}, fields: 2, csv: true}
	if err := s.write([]byte("one field\n")); !errors.Is(err, errRowShape) {
		t.Errorf("a row with too few fields: %v", err)
	}
}

func TestHeaderLine(t *testing.T) {
	names := []string{"a", "b\tc", `d"e`}
	if got := string(headerLine(names, false)); got != "a\tb\\tc\td\"e\n" {
		t.Errorf("%q", got)
	}
	if got := string(headerLine(names, true)); got != "a,b\tc,\"d\"\"e\"\n" {
		t.Errorf("%q", got)
	}
}

func FuzzUnescapeCopy(f *testing.F) {
	for _, s := range []string{``, `\`, `\N`, `\x`, `\xg`, `\x4`, `\7`, `\1234`, `a\tb`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, field []byte) {
		plain := unescapeCopy(nil, field)
		if len(plain) > len(field) {
			t.Errorf("%q grew to %q", field, plain)
		}
		if again := unescapeCopy(nil, appendCopyText(nil, string(plain))); !bytes.Equal(plain, again) && !strings.Contains(string(plain), "\x00") {
			t.Errorf("%q, then %q", plain, again)
		}
	})
}
