package archive

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Codec is a compression method. Numbers are part of the format.
type Codec uint8

// The codecs of version 1.0.
const (
	CodecNone Codec = 0
	CodecZstd Codec = 1 // RFC 8878
	CodecLZ4  Codec = 2 // LZ4 frame format 1.6
	CodecXZ   Codec = 3 // .xz 1.0.4, LZMA2 only
	CodecGzip Codec = 4 // RFC 1952
)

func (c Codec) known() bool { return c <= CodecGzip }

// String is the name that [ParseCodec] takes.
func (c Codec) String() string {
	switch c {
	case CodecNone:
		return "none"
	case CodecZstd:
		return "zstd"
	case CodecLZ4:
		return "lz4"
	case CodecXZ:
		return "xz"
	case CodecGzip:
		return "gzip"
	}
	return "codec " + strconv.Itoa(int(c))
}

// levels returns the range of levels that c takes and the one that level 0 stands for; 0, 0, 0 where it has none.
func (c Codec) levels() (lo, hi, standard int) {
	switch c {
	case CodecZstd:
		return 1, 19, 1 // fast enough to keep up with the server, and hardly larger than level 3
	case CodecLZ4:
		return 1, 9, 1
	case CodecGzip:
		return 1, 9, 6
	case CodecNone, CodecXZ:
	}
	return 0, 0, 0
}

// ParseCodec reads "zstd", "zstd:3", "none" and so on. Level 0 stands for the codec's default.
func ParseCodec(s string) (c Codec, level int, err error) {
	name, lvl, hasLevel := strings.Cut(s, ":")
	all := []Codec{CodecNone, CodecZstd, CodecLZ4, CodecXZ, CodecGzip}
	i := slices.IndexFunc(all, func(c Codec) bool { return c.String() == name })
	if i < 0 {
		return 0, 0, fmt.Errorf("unknown compression %q: use none, zstd, lz4, xz or gzip", s)
	}
	c = all[i]
	if !hasLevel {
		return c, 0, nil
	}
	level, err = strconv.Atoi(lvl)
	if err != nil {
		return 0, 0, fmt.Errorf("compression level %q of %s is not a number", lvl, c)
	}
	return c, level, c.checkLevel(level)
}

func (c Codec) checkLevel(level int) error {
	lo, hi, _ := c.levels()
	switch {
	case !c.known():
		return fmt.Errorf("unknown %s", c)
	case level == 0:
		return nil
	case hi == 0:
		return fmt.Errorf("compression %s has no levels", c)
	case level < lo || level > hi:
		return fmt.Errorf("compression level %d of %s is not between %d and %d", level, c, lo, hi)
	}
	return nil
}

// CodecBackends says what implements each codec in this build, for --version.
func CodecBackends() []string {
	return []string{
		zstdBackend,
		"lz4 (pierrec/lz4)",
		"xz (ulikunitz/xz)",
		"gzip (klauspost/compress)",
	}
}
