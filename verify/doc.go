// Package verify says what is wrong with an archive, and where.
//
// [Archive] reads an archive alone: frames, checksums, index, catalog, row counts, digests and root. [Database] compares
// the digest of every table in an archive with the table in a live database. Both return a [Report] that names each
// finding; an error means that the check itself could not be carried out.
package verify
