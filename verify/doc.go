// Package verify says what is wrong with an archive, and where.
//
// [Archive] reads an archive alone: frames, checksums, index, catalog, row counts, digests and root. [Files] does so for
// files, which may be a set of volumes. [Database] compares the digest of every table in an archive with the table in a
// live database. They return a [Report] that names each finding; an error means that the check itself could not be
// carried out. [Diff] compares two archives with each other.
package verify
