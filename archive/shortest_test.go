package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/wire"
)

// floatsOf gives values of every kind: any bits, integers, powers of ten and two and their neighbours, round decimals,
// subnormal ones, and those beside which a short decimal lies half way.
func floatsOf(bits int) []float64 {
	r := rand.New(rand.NewPCG(7, uint64(bits)))
	var all []float64
	add := func(v float64) {
		if bits == 32 {
			v = float64(float32(v))
		}
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			all = append(all, v, -v)
		}
	}
	near := func(v float64) {
		add(v)
		if bits == 32 {
			add(float64(math.Nextafter32(float32(v), 0)))
			add(float64(math.Nextafter32(float32(v), math.MaxFloat32)))
			return
		}
		add(math.Nextafter(v, 0))
		add(math.Nextafter(v, math.MaxFloat64))
	}
	for range 100000 {
		if bits == 32 {
			add(float64(math.Float32frombits(r.Uint32())))
		} else {
			add(math.Float64frombits(r.Uint64()))
		}
	}
	for e := -1080; e < 1025; e++ {
		near(math.Ldexp(1, e))
		add(math.Ldexp(1+r.Float64(), e))
	}
	for e := -330; e < 310; e++ {
		for d := range 9 {
			v, err := strconv.ParseFloat(fmt.Sprintf("%de%d", d+1, e), bits)
			if err == nil {
				near(v)
			}
		}
	}
	for range 30000 {
		add(float64(r.Int64() >> r.IntN(63)))
		add(float64(r.IntN(1000000)) / 100)
		add(r.NormFloat64())
		v, err := strconv.ParseFloat(fmt.Sprintf("%de%d", r.IntN(100000), r.IntN(36)-12), bits)
		if err == nil {
			near(v)
		}
	}
	for range 40000 { // few binary digits, so that many lie half way between two short decimals
		add(math.Ldexp(float64(1+r.IntN(1<<r.IntN(31))), r.IntN(80)-40))
	}
	return append(all, 0, math.Copysign(0, -1))
}

// Canonical text is what a server prints for the same value, for 600,000 values of each type.
func TestShortestIsTheServers(t *testing.T) {
	t.Parallel()
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	for _, typ := range []struct {
		name   string
		bits   int
		digits []int // as servers before version 12 print it with extra_float_digits 3, and the fewest that read back
	}{{"float4", 32, []int{9}}, {"float8", 64, []int{17, 18}}} {
		t.Run(typ.name, func(t *testing.T) {
			values := floatsOf(typ.bits)
			var long bytes.Buffer
			for i, v := range values {
				long.WriteString(strconv.Itoa(i) + "\t" + strconv.FormatFloat(v, 'g', typ.digits[i%len(typ.digits)], 64) + "\n")
			}
			srv.Exec(t, db, "CREATE TABLE v_"+typ.name+" (i int, v "+typ.name+")")
			printed := throughServer(t, srv.Conninfo(db), "v_"+typ.name, long.Bytes())
			wrong := 0
			lines := bytes.Split(long.Bytes(), []byte{'\n'})
			for i, want := range bytes.Split(printed, []byte{'\n'}) {
				if len(want) == 0 {
					continue
				}
				c := canonical{floats: "-" + map[int]string{32: "4", 64: "8"}[typ.bits]}
				if got := c.end(c.add(nil, lines[i])); !bytes.Equal(got, want) {
					if wrong++; wrong < 10 {
						t.Errorf("%s: canonical %s, the server says %s", lines[i], got, want)
					}
				}
			}
			t.Logf("%d values, %d wrong", len(values), wrong)
		})
	}
}

// throughServer loads rows into a table and reads them again.
func throughServer(t *testing.T, conninfo, table string, rows []byte) []byte {
	t.Helper()
	cfg, err := wire.ParseConfig(conninfo)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := wire.Connect(t.Context(), cfg, wire.TextSettings(""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	in, err := conn.CopyIn(t.Context(), "COPY public."+table+" FROM STDIN")
	if err == nil {
		_, err = in.Write(rows)
	}
	if err == nil {
		_, err = in.Close(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := conn.CopyOut(t.Context(), "COPY (SELECT * FROM public."+table+" ORDER BY i) TO STDOUT")
	if err != nil {
		t.Fatal(err)
	}
	var text []byte
	buf := make([]byte, 1<<20)
	for {
		n, _, err := out.Fill(t.Context(), buf)
		if errors.Is(err, io.EOF) {
			return text
		}
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, buf[:n]...)
	}
}
