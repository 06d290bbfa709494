package pgdump

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxBlobWrite bounds one statement that writes a piece of a large object. pg_dump writes 16 KiB with each.
const maxBlobWrite = 64 << 20

// blobState is where a script is in writing large objects.
type blobState struct{ open bool }

// blobCall is one call of a function that writes large objects.
type blobCall struct {
	name string // lo_open, lowrite, lo_lseek64, lo_close
	oid  uint32
	data []byte
	seek int64
}

// isBlobCall tells whether a statement calls a function that writes large objects.
func (p *scriptParser) isBlobCall(text []byte) bool {
	return blobCallName(newSQLReader(text, p.lx.std, p.lx.wide)) != ""
}

// blobCallName reads SELECT and the name of the function, with its parenthesis.
func blobCallName(r *sqlReader) string {
	if !r.skip("select") {
		return ""
	}
	parts, _ := r.path()
	if len(parts) == 2 && parts[0] == "pg_catalog" {
		parts = parts[1:]
	}
	if len(parts) != 1 || !r.skipMark('(') {
		return ""
	}
	switch parts[0] {
	case "lo_open", "lowrite", "lo_close", "lo_lseek64":
		return parts[0]
	}
	return ""
}

// parseBlobCall reads such a statement in the form that pg_dump writes.
func parseBlobCall(text []byte, std bool, wide wideEncoding) (blobCall, error) {
	if len(text) > maxBlobWrite {
		return blobCall{}, fmt.Errorf("it writes more than %d bytes at once", maxBlobWrite/2)
	}
	r := newSQLReader(text, std, wide)
	c := blobCall{name: blobCallName(r)}
	var ok bool
	if c.name == "lo_open" {
		var oid string
		oid, ok = r.oid()
		n, err := strconv.ParseUint(oid, 10, 32)
		ok = ok && err == nil && r.skipMark(',') && r.t.kind == sqlNumber
		c.oid = uint32(n)
		r.next()
	} else {
		ok = r.t.kind == sqlNumber && string(r.text()) == "0"
		r.next()
	}
	switch c.name {
	case "lowrite":
		var lit []byte
		if ok = ok && r.skipMark(','); ok {
			if lit, ok = r.literal(); ok {
				c.data, ok = decodeBytea(lit)
			}
		}
	case "lo_lseek64":
		ok = ok && r.skipMark(',') && r.t.kind == sqlNumber
		n, err := strconv.ParseInt(string(r.text()), 10, 64)
		c.seek = n
		r.next()
		ok = ok && err == nil && r.skipMark(',') && string(r.text()) == "0"
		r.next()
	}
	if !ok || !r.skipMark(')') || r.t.kind != sqlEnd {
		return c, fmt.Errorf("%s is not as pg_dump writes it", clip(text))
	}
	return c, nil
}

// decodeBytea reads bytea as text: in hex, or with backslashes and octal digits as before version 9.0.
func decodeBytea(s []byte) ([]byte, bool) {
	if h, ok := bytes.CutPrefix(s, []byte(`\x`)); ok {
		n, err := hex.Decode(h, h)
		return h[:n], err == nil
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '\\' {
			out = append(out, '\\')
			i++
			continue
		}
		v, err := strconv.ParseUint(string(s[i+1:min(i+4, len(s))]), 8, 8)
		if err != nil || i+4 > len(s) {
			return nil, false
		}
		out = append(out, byte(v))
		i += 3
	}
	return out, true
}

// blobCall takes a statement that writes large objects. Only where they stand is kept.
func (p *scriptParser) blobCall(t sqlToken, text []byte) {
	c, err := parseBlobCall(text, p.lx.std, p.lx.wide)
	if err != nil {
		p.lx.failf(ErrDamaged, t.from, "%v", err)
		return
	}
	switch d := p.cur; {
	case d != nil && d.blobs.to > 0:
	case d != nil && d.toc != nil && !d.first && !d.ended && d.kind() == kindBlobs:
		d.blobs.from = t.from
	default:
		p.anonymous(t.from)
		p.cur.blobs.from = t.from
		p.cur.obj.kind = kindBlobs
	}
	if p.blob.open == (c.name == "lo_open") {
		p.lx.failf(ErrDamaged, t.from, "%s in the wrong place", c.name)
		return
	}
	p.blob.open = c.name != "lo_close"
	p.cur.blobs.to = p.in.offset()
	p.cur.ended = true
	p.mark = p.in.offset()
}

// closeBlob is called at the end of an entry.
func (p *scriptParser) closeBlob() {
	if p.blob.open {
		p.lx.failf(ErrTruncated, p.in.offset(), "a large object is not closed")
	}
	p.blob.open = false
}

// expandBlobs brings entries of many large objects, which scripts have as many statements, into the form that archives
// have them in: a list of numbers, and the rights of one object that stand for those of all. Where that can't be done
// the statements remain as they are.
func expandBlobs(e *scriptEntry) []*scriptEntry {
	switch {
	case e.Kind == kindBlobGroup:
		oids, ok := blobGroup(e.DDL)
		if !ok {
			e.Kind, e.Drop, e.Name = kindStatement, "", "large objects"
			break
		}
		e.DDL, e.Drop = strings.Join(oids, "\n")+"\n", "-- dummy"
	case e.Kind == kindACL && strings.HasPrefix(e.Name, "LARGE OBJECTS"):
		return splitBlobRights(e)
	}
	return []*scriptEntry{e}
}

// blobGroup reads statements that each make one large object, line by line.
func blobGroup(ddl string) ([]string, bool) {
	var oids []string
	for line := range strings.Lines(ddl) {
		oid, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "SELECT pg_catalog.lo_create('")
		if oid, ok = trimEnd(oid, "');", ok); !ok || strings.Trim(oid, "0123456789") != "" || oid == "" {
			return nil, false
		}
		oids = append(oids, oid)
	}
	return oids, len(oids) > 0
}

func trimEnd(s, end string, ok bool) (string, bool) {
	s, cut := strings.CutSuffix(s, end)
	return s, ok && cut
}

// splitBlobRights finds out whether the same rights are granted for each of some large objects, one after the other, and
// leaves those of the first. If not, there is an entry for each statement.
func splitBlobRights(e *scriptEntry) []*scriptEntry {
	statements := strings.SplitAfter(strings.TrimRight(e.DDL, "\n"), ";\n")
	var oids, forms []string
	for _, s := range statements {
		before, oid, after, ok := cutLargeObject(s)
		if !ok {
			e.Kind, e.Name = kindStatement, "rights on large objects"
			return []*scriptEntry{e}
		}
		oids = append(oids, oid)
		forms = append(forms, before+"#"+strings.TrimRight(after, "\n"))
	}
	distinct := slices.Compact(slices.Clone(oids))
	per := len(oids) / max(len(distinct), 1)
	same := len(distinct)*per == len(oids)
	for i := range oids {
		same = same && oids[i] == distinct[i/per] && forms[i] == forms[i%per]
	}
	if same {
		e.DDL = strings.TrimRight(strings.Join(statements[:per], ""), "\n") + "\n"
		return []*scriptEntry{e}
	}
	var all []*scriptEntry
	for i, s := range statements {
		one := *e
		one.Name = "LARGE OBJECT " + oids[i]
		one.DDL = strings.TrimRight(s, "\n") + "\n"
		one.toc = nil // its number is that of the group
		all = append(all, &one)
	}
	return all
}

// cutLargeObject divides a statement around the number of a large object.
func cutLargeObject(s string) (before, oid, after string, ok bool) {
	const mark = " ON LARGE OBJECT "
	i := strings.Index(s, mark)
	if i < 0 || strings.Contains(s[:i], `"`) {
		return "", "", "", false
	}
	before, after = s[:i+len(mark)], s[i+len(mark):]
	n := 0
	for n < len(after) && isDigit(after[n]) {
		n++
	}
	return before, after[:n], after[n:], n > 0
}
