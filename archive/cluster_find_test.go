package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/pgark/pgark/archive"
)

func findNested(t testing.TB, b []byte) []archive.Nested {
	t.Helper()
	found, err := archive.FindNested(context.Background(), bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Databases are found by their own headers and trailers, whatever has become of the cluster volume around them.
func TestFindNested(t *testing.T) {
	good, _, list := writeCluster(t, clusterDBs())
	last := list[len(list)-1]
	for name, b := range map[string][]byte{
		"whole":             good,
		"no header":         append(bytes.Repeat([]byte{7}, 40), good[40:]...),
		"header cut off":    good[list[0].Offset:],
		"no end":            good[:last.Offset+last.Bytes+3],
		"no index":          append(bytes.Clone(good[:len(good)-200]), bytes.Repeat([]byte{0}, 200)...),
		"bytes in between":  append(append(bytes.Clone(good[:list[1].Offset]), "\xf5PGK hello \xf5PGKend\n"...), good[list[1].Offset:]...),
		"neither of both":   good[list[0].Offset : last.Offset+last.Bytes],
		"a piece of itself": append(bytes.Clone(good[:200]), good...),
	} {
		found := findNested(t, b)
		whole := 0
		for _, n := range found {
			if !n.Whole {
				continue
			}
			d := list[whole]
			if n.ID != d.ID || n.Database != d.Name || !bytes.Equal(b[n.Offset:n.Offset+n.Bytes], good[d.Offset:d.Offset+d.Bytes]) {
				t.Errorf("%s: %+v is not %s", name, n, d.Name)
			}
			whole++
		}
		if whole != len(list) {
			t.Errorf("%s: %d databases found: %+v", name, whole, found)
		}
	}
}

// One whose header or trailer is damaged is found by the other.
func TestFindNestedHalf(t *testing.T) {
	good, _, list := writeCluster(t, clusterDBs())
	for _, d := range list {
		noHead, noTail := bytes.Clone(good), bytes.Clone(good)
		noHead[d.Offset+60] ^= 1
		noTail[d.Offset+d.Bytes-10] ^= 1
		for _, b := range [][]byte{noHead, noTail} {
			found := findNested(t, b)
			if len(found) != len(list) {
				t.Fatalf("%s: %+v", d.Name, found)
			}
			for i, n := range found {
				if whole := list[i].ID != d.ID; n.Whole != whole || n.Offset != list[i].Offset || n.Bytes != list[i].Bytes {
					t.Errorf("%s: %+v", d.Name, n)
				}
			}
		}
	}
}

// An archive that a database holds is not one of the databases.
func TestFindNestedInside(t *testing.T) {
	inner, _ := writeArchive(t, testOptions(archive.CodecNone), testParts())
	outer := []part{{info: archive.StreamInfo{Entry: 3, OID: 70000, Table: "70000", Form: archive.FormBinary}, blocks: [][]byte{inner, inner}}}
	row := []part{outer[0], {info: archive.StreamInfo{Entry: 2, OID: 1, Schema: "s", Table: "t", Columns: []string{"a", "b"}, Form: archive.FormText}}}
	good, _, list := writeCluster(t, []clusterDB{{name: "files", codec: archive.CodecNone, parts: row}, {name: "other", codec: archive.CodecNone, parts: testParts()}})
	at := int64(bytes.Index(good, inner))
	for _, flip := range []int64{-1, at - 48, at - 44, at - 10, at + 3} { // also so that the frame around it can't be read
		b := bytes.Clone(good)
		if flip >= 0 {
			b[flip] ^= 0x10
		}
		found := findNested(t, b)
		if len(found) != 2 || found[0].Offset != list[0].Offset || found[0].Bytes != list[0].Bytes || !found[0].Whole || found[1].ID != list[1].ID {
			t.Errorf("%d: %+v", flip, found)
		}
	}
}

// What is sound comes through as it is, what is damaged is salvaged, and the rest is named.
func TestSalvageCluster(t *testing.T) {
	good, _, list := writeCluster(t, clusterDBs())
	shop := list[1]
	salvage := func(t *testing.T, b []byte) (*archive.ClusterSalvage, *archive.Cluster) {
		t.Helper()
		var out bytes.Buffer
		rep, err := archive.SalvageCluster(t.Context(), bytes.NewReader(b), int64(len(b)), &out, archive.SalvageOptions{Tool: "test"})
		if err != nil {
			t.Fatal(err)
		}
		if res, err := check(out.Bytes()); err != nil || len(res.Findings) > 0 {
			t.Fatalf("a salvaged archive is not sound: %+v, %v", res, err)
		}
		return rep, openCluster(t, out.Bytes())
	}
	same := func(t *testing.T, c *archive.Cluster, i int) {
		t.Helper()
		if d, err := c.Find(list[i].Name); err != nil || d.Root != list[i].Root || d.Rows != list[i].Rows || d.Encoding != "UTF8" {
			t.Errorf("%s is another one than before: %v", list[i].Name, err)
		}
	}
	t.Run("a damaged block", func(t *testing.T) {
		b := bytes.Clone(good)
		b[bytes.Index(b[shop.Offset:], []byte("large\x00object"))+int(shop.Offset)] ^= 1
		rep, c := salvage(t, b)
		same(t, c, 0)
		same(t, c, 2)
		r, err := c.Open("shop")
		if err != nil {
			t.Fatal(err)
		}
		if n := r.Streams()[0].Digest.Rows; n != 22 {
			t.Error(n, "rows")
		}
		if len(rep.Losses) != 1 || !strings.HasPrefix(rep.Losses[0].Message, "database shop: ") || rep.Databases[1].Report == nil || rep.Databases[0].Report != nil {
			t.Errorf("%+v", rep)
		}
		if m, err := c.Moment(); err != nil || len(m.Losses) != 1 {
			t.Errorf("%+v, %v", m, err)
		}
		if cat, err := c.Catalog(); err != nil || len(cat.Entries) != 1 {
			t.Errorf("%+v, %v", cat, err)
		}
	})
	t.Run("cut off", func(t *testing.T) {
		rep, c := salvage(t, good[:list[2].Offset+list[2].Bytes/2])
		same(t, c, 0)
		same(t, c, 1)
		if len(rep.Databases) != 3 || rep.Databases[2].Name != list[2].Name || rep.Databases[2].Report == nil || len(rep.Losses) < 2 {
			t.Errorf("%+v", rep)
		}
	})
	t.Run("one overwritten", func(t *testing.T) {
		b := bytes.Clone(good)
		clear(b[shop.Offset : shop.Offset+shop.Bytes])
		rep, c := salvage(t, b)
		same(t, c, 0)
		same(t, c, 2)
		if d := rep.Databases[1]; !d.Lost || d.Name != "shop" || len(rep.Losses) != 1 || len(c.Databases()) != 2 {
			t.Errorf("%+v", rep)
		}
	})
	t.Run("the cluster volume lost", func(t *testing.T) {
		b := bytes.Clone(good)
		clear(b[:list[0].Offset])
		clear(b[list[2].Offset+list[2].Bytes:])
		rep, c := salvage(t, b)
		for i := range list {
			same(t, c, i)
		}
		if len(rep.Notes) == 0 || len(rep.Losses) == 0 {
			t.Errorf("%+v", rep)
		}
		if cat, err := c.Catalog(); err != nil || len(cat.Entries) != 0 {
			t.Errorf("the catalog of a database stands for the server's: %+v, %v", cat, err)
		}
	})
	t.Run("two of one name", func(t *testing.T) {
		b := bytes.Clone(good[:list[2].Offset])
		b = append(b, good[shop.Offset:shop.Offset+shop.Bytes]...)
		_, c := salvage(t, b)
		if len(c.Databases()) != 3 || c.Databases()[2].Rows != shop.Rows {
			t.Errorf("%+v", c.Databases())
		}
	})
}

// Whatever single byte is lost, salvage keeps all other databases, and what it writes is sound.
func TestSalvageClusterEverywhere(t *testing.T) {
	t.Parallel()
	good, _, list := writeCluster(t, clusterDBs())
	const step = 7
	each(t, len(good)/step, func(n int) error {
		i := n * step
		b := bytes.Clone(good)
		b[i] ^= 0x20
		var out bytes.Buffer
		if _, err := archive.SalvageCluster(context.Background(), bytes.NewReader(b), int64(len(b)), &out, archive.SalvageOptions{}); err != nil {
			return err
		}
		res, err := check(out.Bytes())
		if err != nil || len(res.Findings) > 0 {
			return fmt.Errorf("%w %+v", err, res)
		}
		c, err := archive.NewCluster(bytes.NewReader(out.Bytes()), int64(out.Len()))
		if err != nil {
			return err
		}
		hit := databaseAt(list, int64(i))
		for k := range list {
			if hit == &list[k] {
				continue
			}
			if d, err := c.Find(list[k].Name); err != nil || d.Root != list[k].Root {
				return errors.Join(errors.New("a sound database is not what it was"), err)
			}
		}
		return nil
	})
}
