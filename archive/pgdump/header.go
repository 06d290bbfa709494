package pgdump

import (
	"fmt"
	"time"
)

// magic begins every archive.
const magic = "PGDMP"

// The archive versions that this package reads: 1.10 to 1.16. From PostgreSQL 8.1 on pg_dump writes 1.10 and later, 1.12 from 9.0 on.
const (
	versionMajor = 1
	minorOldest  = 10
	minorSection = 11 // entries have a section
	minorBlobs   = 12 // large objects have entries of their own
	minorTableAM = 14 // entries have a table access method
	minorCodec   = 15 // the header names the compression algorithm in one byte
	minorRelKind = 16 // entries have a relation kind
	minorNewest  = 16
)

// Version is the version of the archive format.
type Version struct{ Major, Minor, Rev uint8 }

// String gives the version as "1.14"; the revision has never been anything but 0.
func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// Format is the kind of archive.
type Format uint8

// The formats, by their numbers in the header. The toc.dat of a directory archive says tar, too.
const (
	FormatCustom Format = 1
	FormatTar    Format = 3
)

// Compression is how the rows of an archive are compressed.
type Compression uint8

// The compression algorithms, by their numbers in headers from version 1.15 on.
const (
	CompressionNone Compression = 0
	CompressionGzip Compression = 1 // in custom archives this is zlib framing (RFC 1950)
	CompressionLZ4  Compression = 2
	CompressionZstd Compression = 3
)

// String gives the name that pg_restore --list prints.
func (c Compression) String() string {
	switch c {
	case CompressionNone:
		return "none"
	case CompressionGzip:
		return "gzip"
	case CompressionLZ4:
		return "lz4"
	case CompressionZstd:
		return "zstd"
	default:
		return fmt.Sprintf("compression %d", uint8(c))
	}
}

// LocalTime is the wall clock of the machine that made the archive, which does not say in what time
// zone. The fields are C's struct tm, as they stand in the archive: Month from 0, Year from 1900.
type LocalTime struct {
	Sec, Min, Hour, Day, Month, Year int32
	IsDST                            int32
}

// In reads the clock as one of loc.
func (t LocalTime) In(loc *time.Location) time.Time {
	return time.Date(int(t.Year)+1900, time.Month(t.Month+1), int(t.Day), int(t.Hour), int(t.Min), int(t.Sec), 0, loc)
}

// Header is what an archive says about itself.
type Header struct {
	Version          Version
	IntSize, OffSize int // bytes of an integer and of a file offset
	Format           Format
	Compression      Compression
	Level            int32 // zlib level up to version 1.14, -1 for the default; later versions don't record one
	Created          LocalTime
	Database         string
	ServerVersion    string // "15.18 (Debian 15.18-0+deb12u1)"
	DumpVersion      string // of pg_dump
}

// header reads the header from its first byte.
func (s *scanner) header() Header {
	var h Header
	s.readMagic()
	h.Version = Version{s.byte("version"), s.byte("version"), s.byte("version")}
	if s.err == nil && (h.Version.Major != versionMajor || h.Version.Minor < minorOldest || h.Version.Minor > minorNewest) {
		s.fail("version", ErrVersion, fmt.Sprintf("the archive has version %s, pgark reads %d.%d to %d.%d",
			h.Version, versionMajor, minorOldest, versionMajor, minorNewest))
	}
	h.IntSize = int(s.byte("size of integers"))
	if s.err == nil && (h.IntSize < 2 || h.IntSize > 8) {
		s.damaged("size of integers", "integers of %d bytes", h.IntSize)
	}
	h.OffSize = int(s.byte("size of offsets"))
	if s.err == nil && (h.OffSize < 2 || h.OffSize > 8) {
		s.damaged("size of offsets", "offsets of %d bytes", h.OffSize)
	}
	if s.err != nil {
		return h
	}
	s.intSize, s.offSize = h.IntSize, h.OffSize
	h.Format = Format(s.byte("format"))
	if s.err == nil && h.Format != FormatCustom && h.Format != FormatTar {
		s.damaged("format", "unknown format %d", h.Format)
	}
	s.compression(&h)
	h.Created = LocalTime{
		Sec: s.int("time of creation"), Min: s.int("time of creation"), Hour: s.int("time of creation"),
		Day: s.int("time of creation"), Month: s.int("time of creation"), Year: s.int("time of creation"),
		IsDST: s.int("time of creation"),
	}
	h.Database, _ = s.str("database name")
	h.ServerVersion, _ = s.str("server version")
	h.DumpVersion, _ = s.str("pg_dump version")
	return h
}

func (s *scanner) readMagic() {
	var buf [len(magic)]byte
	s.full("magic", buf[:])
	// A file that is too short to hold the magic is no dump, rather than a truncated one, unless
	// it is a beginning of it.
	if s.err != nil && s.off > 0 && string(buf[:s.off]) != magic[:s.off] || s.err == nil && string(buf[:]) != magic {
		s.err = nil
		s.fail("magic", ErrNotDump, fmt.Sprintf("it does not begin with %q", magic))
	}
}

func (s *scanner) compression(h *Header) {
	if h.Version.Minor >= minorCodec {
		h.Compression = Compression(s.byte("compression"))
		if s.err == nil && h.Compression > CompressionZstd {
			s.damaged("compression", "unknown algorithm %d", h.Compression)
		}
		return
	}
	h.Level = s.int("compression")
	if s.err == nil && (h.Level < -1 || h.Level > 9) {
		s.damaged("compression", "zlib has no level %d", h.Level)
	}
	if h.Level != 0 {
		h.Compression = CompressionGzip
	}
}
