package pgdump

import (
	"bytes"
	"errors"
	"testing"

	"github.com/pgark/pgark/archive"
)

// FuzzPlain reads any bytes as a script: never a panic, errors say where, and what is read keeps the promises of a source.
func FuzzPlain(f *testing.F) {
	f.Add([]byte(tinyScript))
	f.Add([]byte(oldScript))
	for _, name := range []string{"plain-greenplum6-schema.sql", "plain-pg18.sql"} {
		b := sample(f, name)
		f.Add(b[:min(len(b), 8<<10)])
	}
	f.Add([]byte("SELECT E'a'\n'b'; $x$ $$ $x$; \"n\"; U&'x';"))
	f.Fuzz(func(t *testing.T, b []byte) {
		IsPlain(b)
		s, err := readScript(t.Context(), bytes.NewReader(b), int64(len(b)))
		if err != nil {
			var se *ScriptError
			if !errors.As(err, &se) || se.Offset < 0 || se.Offset > int64(len(b)) {
				t.Fatalf("an error without a place: %v", err)
			}
			return
		}
		checkScript(t, s, b)
	})
}

func checkScript(t *testing.T, s *Script, b []byte) {
	t.Helper()
	cat, err := s.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	at := make(map[int32]int)
	for i, e := range cat.Entries {
		if _, twice := at[e.ID]; twice || e.ID <= 0 {
			t.Fatalf("id %d", e.ID)
		}
		at[e.ID] = i
		if e.Section < archive.SectionNone || e.Section > archive.SectionPostData || e.Kind == "" {
			t.Fatalf("%+v", e)
		}
		if e.Nulls&archive.NullDDL != 0 && e.DDL != "" || e.Nulls&archive.NullOwner != 0 && e.Owner != "" {
			t.Fatal("NULL that is not empty")
		}
		var rows int
		for _, st := range s.TableStreams(e.ID) {
			if e.Kind == kindBlobs {
				continue
			}
			err := s.StreamRows(t.Context(), st.ID, func(text []byte) error {
				rows += len(text)
				if len(text) == 0 {
					t.Fatal("an empty piece")
				}
				return nil
			})
			statements := s.HasStatements(e.ID)
			if err != nil && !errors.Is(err, ErrDamaged) && !(statements && errors.Is(err, ErrTruncated)) ||
				err == nil && uint64(rows) != st.Raw && !statements {
				t.Fatalf("%d of %d bytes: %v", rows, st.Raw, err)
			}
		}
		for _, err := range []error{
			s.DataStatements(t.Context(), e.ID, func(sql []byte) error {
				if !bytes.Contains(b, sql) || !bytes.HasSuffix(sql, []byte(";")) {
					t.Fatalf("%q is no statement", sql)
				}
				return nil
			}),
			s.LargeObjects(t.Context(), e.ID, func(uint32, int64, []byte) error { return nil }),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// FuzzSplitSQL divides any bytes in memory and in a window alike.
func FuzzSplitSQL(f *testing.F) {
	f.Add([]byte("a; 'b;'; E'\\';'; $$;$$; /* /* */ */ -- ;\n\"c;\";"), true, byte(0))
	f.Add([]byte("E'\x95\x5c'; a"), false, byte(2))
	f.Add([]byte("CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE WHEN a THEN b END; END; c;"), true, byte(3))
	f.Fuzz(func(t *testing.T, b []byte, std bool, wide byte) {
		if bytes.IndexByte(b, 0) >= 0 {
			return
		}
		w := wideEncoding(wide % 4)
		want, wantErr := splitSQL(textInput(b), std, w)
		got, err := splitSQL(newInput(bytes.NewReader(b), 0, int64(len(b)), nil), std, w)
		if (err == nil) != (wantErr == nil) || len(got) != len(want) {
			t.Fatalf("%q, %v\n%q, %v", want, wantErr, got, err)
		}
		for _, sql := range got {
			identify([]byte(sql), std, w)
		}
	})
}
