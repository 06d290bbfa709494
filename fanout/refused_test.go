package fanout

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgark/pgark/archive"
)

// withheld is a dump that holds rows of two tables and gives those of one.
type withheld struct{ refusal error }

func (w *withheld) Description() archive.Description { return archive.Description{Format: "custom"} }

func (w *withheld) Catalog() (*archive.Catalog, error) {
	return &archive.Catalog{Database: "d", Encoding: "UTF8", ServerVersion: "11.5", Product: "PostgreSQL", Entries: []archive.Entry{
		{ID: 1, Kind: kindTable, Schema: "s", Name: "given", Section: archive.SectionPreData, DDL: "CREATE TABLE s.given (a integer);\n"},
		{ID: 2, Kind: kindTableData, Schema: "s", Name: "given", Section: archive.SectionData, HadDumper: true, Deps: []int32{1}, Copy: "COPY s.given (a) FROM stdin;\n"},
		{ID: 3, Kind: kindTable, Schema: "s", Name: "kept", Section: archive.SectionPreData, DDL: "CREATE TABLE s.kept (a integer);\n"},
		{ID: 4, Kind: kindTableData, Schema: "s", Name: "kept", Section: archive.SectionData, HadDumper: true, Deps: []int32{3}},
	}}, nil
}

func (w *withheld) Moment() (*archive.Moment, error) { return &archive.Moment{}, nil }

func (w *withheld) TableStreams(entry int32) []archive.Stream {
	if entry != 2 {
		return nil
	}
	return []archive.Stream{{ID: 1, StreamInfo: archive.StreamInfo{Entry: 2, Schema: "s", Table: "given", Columns: []string{"a"}, Form: archive.FormText}}}
}

func (w *withheld) StreamRows(_ context.Context, _ archive.StreamID, fn func([]byte) error) error {
	return fn([]byte("1\n"))
}

func (w *withheld) LargeObjects(context.Context, int32, func(uint32, int64, []byte) error) error {
	return nil
}

func (w *withheld) Refused(entry int32) error {
	if entry == 4 {
		return w.refusal
	}
	return nil
}

func (w *withheld) Close() error { return nil }

// No format gets a copy of a dump that lacks the rows of a table without a word.
func TestWithheldRows(t *testing.T) {
	mine := errors.New("for a reason")
	for _, refusal := range []error{mine, nil} {
		src := &withheld{refusal}
		want := mine
		if refusal == nil {
			want = errNoRows
		}
		check := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, want) || !strings.Contains(err.Error(), "kept") {
				t.Errorf("%s: %v", what, err)
			}
		}
		var out bytes.Buffer
		_, err := ImportSource(t.Context(), src, &out, ImportOptions{})
		check("pgark", err)
		for _, format := range []string{FormatCustom, FormatDirectory, FormatTar, FormatPlain} {
			target := StockTarget{Out: &out, Dir: filepath.Join(t.TempDir(), "dir")}
			_, err := ConvertSource(t.Context(), src, target, StockOptions{Format: format}, nil)
			check(format, err)
		}
		if out.Len() > 0 {
			t.Errorf("%d bytes were written", out.Len())
		}
		check("script", WriteScriptFrom(t.Context(), ForeignSource(src), &out, ScriptOptions{}))
	}
}
