package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pgark/pgark/archive"
)

// compressDetail is what stands behind the codec in -Z, in pg_dump's words: a level, or options with commas between them.
type compressDetail struct {
	level int
	given bool // a level
	zstd  bool // an option that only zstd has
}

// parseCompress reads -Z: CODEC[:DETAIL], or as in pg_dump a level alone, which means gzip, and 0 no compression. Level 0 is the
// codec's default.
//
// Of zstd's options, workers asks for what is done anyhow, and long for a window that is larger than the pieces of at most 4 MiB in
// which rows are compressed: they change nothing.
func parseCompress(s string, format string) (archive.Codec, int, error) {
	name, detail, more := strings.Cut(s, ":")
	if n, err := strconv.Atoi(s); err == nil {
		if name, detail, more = "gzip", s, true; n == 0 {
			return archive.CodecNone, 0, nil
		}
	}
	codec, _, err := archive.ParseCodec(name)
	if err != nil {
		return 0, 0, usagef("-Z %s: %v", quoteArg(s), err)
	}
	var d compressDetail
	if more {
		if d, err = parseCompressDetail(detail); err != nil {
			return 0, 0, usagef("-Z %s: %v", quoteArg(s), err)
		}
	}
	if d.zstd && codec != archive.CodecZstd {
		return 0, 0, usagef("-Z %s: long and workers are options of zstd", quoteArg(s))
	}
	if err := d.check(codec, format != formatPgark); err != nil {
		return 0, 0, usagef("-Z %s: %v", quoteArg(s), err)
	}
	if codec == archive.CodecLZ4 {
		d.level = min(d.level, 9) // pg_dump's 10 to 12 ask for the smallest, which is 9 here
	}
	return codec, max(d.level, lowestLevel(codec)), nil
}

// lowestLevel keeps gzip's -1, its default in pg_dump, from being taken for a level.
func lowestLevel(codec archive.Codec) int {
	const lowestZstd = -(1 << 17) // ZSTD_minCLevel
	if codec == archive.CodecZstd {
		return lowestZstd
	}
	return 0
}

func parseCompressDetail(detail string) (compressDetail, error) {
	if n, err := strconv.Atoi(detail); err == nil {
		return compressDetail{level: n, given: true}, nil
	}
	var d compressDetail
	for _, option := range strings.Split(detail, ",") {
		name, value, valued := strings.Cut(option, "=")
		n, notNumber := strconv.Atoi(strings.TrimSpace(value))
		switch name {
		case "":
			return d, fmt.Errorf("an option is missing after the colon or a comma: a level, or level=N")
		case "level":
			if notNumber != nil {
				return d, fmt.Errorf("%q is not level=N with a whole number", option)
			}
			d.level, d.given = n, true
		case "workers":
			if notNumber != nil {
				return d, fmt.Errorf("%q is not workers=N with a whole number", option)
			}
			d.zstd = true
		case "long":
			switch strings.ToLower(value) {
			case "yes", "no", "on", "off", "true", "false", "1", "0":
			default:
				if valued {
					return d, fmt.Errorf("%q: long is on or off", option)
				}
			}
			d.zstd = true
		default:
			return d, fmt.Errorf("%q is no level and no option: there are level=N and, of zstd, long and workers=N", option)
		}
	}
	return d, nil
}

// check checks the level: in the formats of pg_dump it is in its range, in that of pgark in the archive's.
func (d compressDetail) check(codec archive.Codec, stock bool) error {
	lo, hi, standard := 0, 0, 0
	switch {
	case !d.given:
		return nil
	case codec == archive.CodecGzip:
		lo, hi, standard = 1, 9, -1
	case codec == archive.CodecLZ4:
		lo, hi = 1, 12
	case codec == archive.CodecZstd && stock:
		lo, hi = lowestLevel(codec), 22
	default: // which says that it is pgark's range
		_, _, err := archive.ParseCodec(codec.String() + ":" + strconv.Itoa(d.level))
		return err
	}
	if d.level != standard && (d.level < lo || d.level > hi) {
		return fmt.Errorf("compression level %d of %s is not between %d and %d (default %d)", d.level, codec, lo, hi, standard)
	}
	return nil
}
