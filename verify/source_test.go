package verify

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/pgark/pgark/archive/pgdump"
)

// A check that ended before it had read anything has found nothing, and must not say so.
func TestSourceCancelled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.sql")
	script := "--\n-- PostgreSQL database dump\n--\n\nSET client_encoding = 'UTF8';\n\nCREATE TABLE public.t (\n    a integer\n);\n\n" +
		"COPY public.t (a) FROM stdin;\n1\n\\.\n\n--\n-- PostgreSQL database dump complete\n--\n\n"
	if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	src, err := pgdump.OpenPlain(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if r, _, err := Source(t.Context(), src, Options{}); err != nil || !r.OK || r.Rows != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, _, err := Source(ctx, src, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", r, err)
	}
}
