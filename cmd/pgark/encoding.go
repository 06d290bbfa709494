package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// textDecoder turns names and DDL from the encoding of an archived database into UTF-8, for terminals and JSON.
// What is not valid in that encoding, or in SQL_ASCII not UTF-8, is shown as \xNN.
type textDecoder struct {
	enc encoding.Encoding // nil: bytes are UTF-8 where they are valid
}

// newTextDecoder takes PostgreSQL's name of an encoding.
func newTextDecoder(name string) textDecoder { return textDecoder{enc: pgEncoding(name)} }

// String decodes s.
func (d textDecoder) String(s string) string {
	if d.enc != nil && !isASCII(s) {
		out, err := d.enc.NewDecoder().String(s)
		if err == nil && !strings.ContainsRune(out, utf8.RuneError) {
			return out
		}
	}
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02X`, s[0])
		} else {
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// pgEncoding maps the names of pg_encoding_to_char ("Character Set Support" in PostgreSQL's manual). It returns nil
// for UTF8 and SQL_ASCII, and for the few that golang.org/x/text lacks.
func pgEncoding(name string) encoding.Encoding {
	switch strings.ToUpper(name) {
	case "LATIN1":
		return charmap.ISO8859_1
	case "LATIN2":
		return charmap.ISO8859_2
	case "LATIN3":
		return charmap.ISO8859_3
	case "LATIN4":
		return charmap.ISO8859_4
	case "LATIN5":
		return charmap.ISO8859_9
	case "LATIN6":
		return charmap.ISO8859_10
	case "LATIN7":
		return charmap.ISO8859_13
	case "LATIN8":
		return charmap.ISO8859_14
	case "LATIN9":
		return charmap.ISO8859_15
	case "LATIN10":
		return charmap.ISO8859_16
	case "ISO_8859_5":
		return charmap.ISO8859_5
	case "ISO_8859_6":
		return charmap.ISO8859_6
	case "ISO_8859_7":
		return charmap.ISO8859_7
	case "ISO_8859_8":
		return charmap.ISO8859_8
	case "EUC_JP", "EUC_JIS_2004":
		return japanese.EUCJP
	case "SJIS", "SHIFT_JIS_2004":
		return japanese.ShiftJIS
	case "EUC_KR", "UHC":
		return korean.EUCKR
	case "EUC_CN", "GBK":
		return simplifiedchinese.GBK
	case "GB18030":
		return simplifiedchinese.GB18030
	default:
		return pgWindowsEncoding(name)
	}
}

func pgWindowsEncoding(name string) encoding.Encoding {
	switch strings.ToUpper(name) {
	case "WIN866":
		return charmap.CodePage866
	case "WIN874":
		return charmap.Windows874
	case "WIN1250":
		return charmap.Windows1250
	case "WIN1251":
		return charmap.Windows1251
	case "WIN1252":
		return charmap.Windows1252
	case "WIN1253":
		return charmap.Windows1253
	case "WIN1254":
		return charmap.Windows1254
	case "WIN1255":
		return charmap.Windows1255
	case "WIN1256":
		return charmap.Windows1256
	case "WIN1257":
		return charmap.Windows1257
	case "WIN1258":
		return charmap.Windows1258
	case "KOI8R":
		return charmap.KOI8R
	case "KOI8U":
		return charmap.KOI8U
	}
	return nil
}
