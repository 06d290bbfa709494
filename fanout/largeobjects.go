package fanout

// Large objects travel as rows of COPY text, so that they have blocks, row counts and digests as tables do:
// one stream for each BLOBS entry of the catalog, [archive.FormText], columns loid, offset and data. A row is one
// chunk of one large object: its OID, the chunk's offset in bytes, its bytes as bytea in hex ("\\x..." in COPY
// text). An empty large object has one row with offset 0 and no bytes. Chunks come in any order.

// largeObjectChunk is the largest chunk, in bytes. Twice as many characters stand in its row.
const largeObjectChunk = 256 << 10

// largeObjectColumns are the columns of a stream of large objects.
func largeObjectColumns() []string { return []string{"loid", "offset", "data"} }
