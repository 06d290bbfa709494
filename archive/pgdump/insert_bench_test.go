package pgdump

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func BenchmarkInserts(b *testing.B) {
	rows := func(begin, between, end string) []byte {
		var buf bytes.Buffer
		for i := range 100_000 {
			if i%1000 == 0 || end == "" {
				buf.WriteString(begin)
			} else {
				buf.WriteString(between)
			}
			fmt.Fprintf(&buf, "%d, 'customer %d it''s', %d.%06d, true, '2020-01-01 00:00:00+00', NULL, 'a longer text with some words in it')", i, i, i, i)
			if i%1000 == 999 || end == "" {
				buf.WriteString(";\n")
			}
		}
		return append(buf.Bytes(), "\n\n"...)
	}
	for name, text := range map[string][]byte{
		"one row":  rows("INSERT INTO public.t VALUES (", "", ""),
		"1000":     rows("INSERT INTO public.t VALUES\n\t(", ",\n\t(", ";"),
		"one wide": []byte("INSERT INTO public.t VALUES (1, '" + strings.Repeat("0123456789 it''s \\ ", 1<<20) + "', 1, true, '', NULL, '');\n\n\n"),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			form := &insertForm{head: "INSERT INTO public.t VALUES", target: "public.t", columns: make([]tableColumn, 7)}
			for b.Loop() {
				if err := newInsertReader(bytes.NewReader(text), form, dialect{std: true}, nil, func([]byte) error { return nil }).all(true); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
