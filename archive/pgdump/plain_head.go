package pgdump

import (
	"bytes"
	"strings"
)

// headLines is how far into a script its head is looked for.
const headLines = 4 << 10

// scriptHead is what the first lines of a script say that it is.
type scriptHead struct {
	title   string // "PostgreSQL database dump"
	cluster bool   // pg_dumpall's
	crlf    bool
}

// IsPlain tells from the first few KiB of a file, or the whole of a shorter one, whether it is a script that pg_dump,
// pg_dumpall or pg_restore wrote. A script that was stripped of its comments is not recognized, though [OpenPlain] may
// read it.
func IsPlain(head []byte) bool { return readHead(head).title != "" }

// readHead looks for the title among the comments that a script begins with.
func readHead(head []byte) scriptHead {
	head = bytes.TrimPrefix(head, []byte(byteOrderMark))
	var h scriptHead
	for line := range bytes.Lines(head[:min(len(head), headLines)]) {
		text := string(bytes.TrimRight(line, "\r\n"))
		h.crlf = h.crlf || bytes.HasSuffix(line, []byte("\r\n"))
		if title, ok := strings.CutPrefix(text, "-- "); ok && isTitle(title) {
			h.title, h.cluster = title, strings.HasSuffix(title, " cluster dump")
			return h
		}
		if text != "" && !strings.HasPrefix(text, "--") {
			break
		}
	}
	return scriptHead{}
}

// byteOrderMark is what some editors put before UTF-8; psql skips it.
const byteOrderMark = "\xef\xbb\xbf"

// isTitle tells whether a line of comment is the title of a dump.
func isTitle(s string) bool {
	product, ok := strings.CutSuffix(s, " database dump")
	if !ok {
		product, ok = strings.CutSuffix(s, " cluster dump")
		product = strings.TrimSuffix(product, " database")
	}
	switch strings.TrimSuffix(product, " Database") {
	case "PostgreSQL", "Greenplum", "Greengage", "Cloudberry", "Apache Cloudberry":
		return ok
	}
	return false
}

// productOfTitle tells what program made a script by its title.
func productOfTitle(title, serverVersion string) string {
	switch {
	case strings.HasPrefix(title, "Greenplum"), strings.HasPrefix(title, "Greengage"):
		return "Greenplum"
	case strings.Contains(title, "Cloudberry"):
		return "Apache Cloudberry"
	default:
		product, _ := cutProduct(serverVersion)
		return product
	}
}

// IsForeign tells by the first bytes of a file whether it is of a format that is not read, though its content may be a dump. [OpenScript]
// says what to do with it.
func IsForeign(head []byte) bool { return foreignFormat(head) != "" }

// foreignFormat says what a file is that is no script, by its first bytes, and what to do with it; "" if that is not known.
func foreignFormat(head []byte) string {
	for magic, what := range map[string]string{
		"\xfd7zXZ\x00": "is compressed with xz: decompress it first, with xz -d",
		"BZh":          "is compressed with bzip2: decompress it first, with bzip2 -d",
		"PK\x03\x04":   "is a zip file: unpack it first, with unzip",
		"\xff\xfe":     "is text in UTF-16: convert it first, with iconv -f UTF-16 -t UTF-8",
		"\xfe\xff":     "is text in UTF-16: convert it first, with iconv -f UTF-16 -t UTF-8",
		magic:          "is an archive of pg_dump in custom format, not a script",
	} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return what
		}
	}
	return ""
}
