// Package wire holds one session with one PostgreSQL server, protocol 3: queries, COPY both ways, cancel.
//
// Start reading at Conn. Connect opens a session from a Config, which ParseConfig makes the way libpq does. Exec, Query
// and their kin run simple queries. CopyOut and CopyIn move rows in bulk, and RowsOut makes a query's rows look like COPY's.
// Send, NextCopyOut and NextRowsOut take many small results back to back, without a round trip for each.
//
// pgconn finds the server, sets up TLS and authenticates; then its socket is taken over, and rows come through a
// scanner of our own, because a general decoder costs more per row than the rest of a dump does. The simple query
// protocol is enough: there are no parameters, and text is what an archive holds.
//
// Lengths that the server sends are checked, and memory grows with the bytes that arrive, not with what is announced.
// No error holds a password.
package wire
