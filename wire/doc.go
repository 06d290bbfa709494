// Package wire holds one session with one PostgreSQL server, protocol 3: queries, COPY both ways, cancel.
package wire
