package fanout

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParseList(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []int32
		err        error
	}{
		{"pg_restore's own", ";\n; Archive created at x\n;     dbname: y\n\n7; 2615 16403 SCHEMA - app postgres\n2; 3079 16451 EXTENSION - hstore \n", []int32{7, 2}, nil},
		{"commented out", ";7; 1 1 TABLE\n3; 1 1 TABLE a;b c\n", []int32{3}, nil},
		{"numbers only, Windows line ends", " 5\r\n4 ; x\r\n", []int32{5, 4}, nil},
		{"twice", "5\n4\n5\n", []int32{5, 4}, nil},
		{"empty", "", []int32{}, nil},
		{"words", "TABLE a\n", nil, ErrUsage},
		{"zero", "0; 1 1 TABLE\n", nil, ErrUsage},
		{"out of range", "99999999999\n", nil, ErrUsage},
		{"endless line", strings.Repeat("x", maxListLine+1), nil, ErrUsage},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseList(strings.NewReader(tt.text))
			if !errors.Is(err, tt.err) {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" || tt.err == nil && got == nil {
				t.Error(diff)
			}
		})
	}
}
