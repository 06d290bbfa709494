// Package fanout is the engine: it plans units of work and runs them over many sessions, both ways.
package fanout
