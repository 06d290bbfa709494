// Package archive reads and writes pgark archives, offline: it knows neither servers nor SQL. SPEC.md beside it is
// the specification, and this code follows it.
//
// An archive is written once, front to back, by a [Writer]: the catalog and the moment, then blocks of rows that any
// number of goroutines have encoded, each with its own [Encoder], then an index and a trailer. It is read at random
// by a [Reader], which opens it from the trailer; blocks are decoded by any number of goroutines, each with its own
// [Decoder]. One root digest covers every bit.
//
// Several archives, one for each database of a server, may lie in one file, with what the databases share around them: a [ClusterWriter]
// writes it, and [OpenCluster] opens it.
//
// What is damaged is found and named by [Check], and what is left of it is recovered by [Salvage]. Neither needs
// the index.
//
// Whatever a file says, nothing panics, and no length that was read decides an allocation before it is checked.
package archive
