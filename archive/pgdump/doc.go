// Package pgdump reads the archive formats that pg_dump writes and pg_restore reads.
//
// [ReadTOC] reads the header and the table of contents of a custom-format archive, or of the toc.dat
// of a directory or tar archive, from a stream that need not be seekable. It understands archive
// versions 1.12 to 1.16, which every release from PostgreSQL 9.0 to 18 and every Greenplum and
// Cloudberry release writes, and refuses newer ones: their fields are not known.
//
// Nothing read from an archive is trusted. A length or a count never decides an allocation by itself,
// memory grows with the bytes that really arrive, and damage is an error that says where it is.
//
// primitives.go has the integers, strings and offsets that everything else is made of, header.go the
// header, toc.go the entries.
package pgdump
