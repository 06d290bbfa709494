// Package pgdump reads and writes the formats of pg_dump and pg_restore.
//
// [Open] opens a custom, directory or tar archive, [OpenPlain] a script; what they give implements archive.Source.
// [NewCustomWriter], [NewDirectoryWriter] and [NewTarWriter] write an archive, encoding its data on several cores in ways that a
// stock pg_restore was seen to read.
//
// [ReadTOC] reads the header and the table of contents of a custom-format archive, or of the toc.dat
// of a directory or tar archive, from a stream that need not be seekable. It understands archive
// versions 1.10 to 1.16, which every release from PostgreSQL 8.1 to 18 and every Greenplum and
// Cloudberry release writes, and refuses newer ones: their fields are not known.
//
// Nothing read from an archive is trusted. A length or a count never decides an allocation by itself,
// memory grows with the bytes that really arrive, and damage is an error that says where it is.
//
// primitives.go has the integers, strings and offsets that everything else is made of, header.go the
// header, toc.go the entries; custom.go, members.go (directories) and tar.go find the data, decompress.go decodes it, dump_rows.go
// gives it; plain.go begins the reading of scripts. insert_form.go and insert_rows.go read rows that are INSERT statements, of all formats, as COPY
// text. write.go has the writing, write_pipeline.go the goroutines of it, write_raw.go the copying of data as it is, encode.go and
// encode_gzip.go the compression, version.go and downgrade.go the conversion between versions.
package pgdump
