package archive

import (
	"strings"
	"testing"
)

// What a lost block of a file leaves behind passed as rows; and where the columns of a table are not known all of its rows were called damaged.
func TestRowCheck(t *testing.T) {
	for _, tt := range []struct {
		columns    int
		rows, want string
	}{
		{2, "1\ta\n2\tb\n", ""},
		{2, "1\ta\n2\tb\tc\n", "row 2 has 3 fields, the table has 2 columns"},
		{2, "1\ta\n2\t\x00\x00\n", "row 2 has a zero byte"},
		{2, "1\ta\n2\t\xe4\n", `row 2 is not UTF-8: "2\t\xe4\n"`},
		{0, "\n\n", ""},
		{0, "1\ta\n2\tb\n", ""},
		{0, "1\ta\n2\n", "row 2 has 1 fields, the table has 2 columns"},
	} {
		for _, size := range []int{1 << 10, 2} { // rows whole, and in parts
			if size == 2 && strings.Contains(tt.want, "UTF-8") {
				continue
			}
			c := &RowCheck{Columns: tt.columns, UTF8: true}
			cutter := &RowCutter{
				Grab: func() ([]byte, error) { return make([]byte, 0, size), nil },
				Emit: func(run []byte, part uint32, more bool) error { c.Add(run, part, more); return nil },
			}
			if err := cutter.Write([]byte(tt.rows)); err != nil {
				t.Fatal(err)
			}
			if err := cutter.Close(); err != nil {
				t.Fatal(err)
			}
			if c.Wrong() != tt.want {
				t.Errorf("%q of %d columns in runs of %d: %q", tt.rows, tt.columns, size, c.Wrong())
			}
		}
	}
}
