package archive

// Digest is a checksum of rows that depends neither on their order nor on how they were spread over
// streams or nodes: their count, the sum of their lengths, and the sum modulo 2^128 of the XXH3-128 hash
// of each. A row is hashed without its ending LF, and Bytes counts it with the LF.
//
// It detects accidents. It does not detect an adversary, who can make rows with any wanted sum.
// The zero value is the digest of no rows. Not safe for concurrent use; [Digest.Merge] joins parts.
type Digest struct {
	Rows   uint64
	Bytes  uint64
	Hi, Lo uint64 // the sum
}

// Add, AddRows (a run of whole rows in COPY text), Merge, String ("rows:bytes:32 hex digits"), ParseDigest: see SPEC.md.
