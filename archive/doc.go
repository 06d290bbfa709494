// Package archive reads and writes pgark archives, offline. SPEC.md beside it is the specification.
package archive
