// Package pgtest starts real PostgreSQL servers, for tests and for the demo command only.
//
// Start gives a test a server of its own, Shared one per test binary; both skip the test when PostgreSQL is not
// installed, or fail it when the environment says CI=true. Launch is the same without testing: it serves the demo.
// StartShards, SharedShards and LaunchShards do so for a coordinator and shards that postgres_fdw joins.
//
// A server lives in a directory under /tmp, listens on 127.0.0.1 and on a unix socket, trusts everybody who can reach
// it, has the superuser "postgres", and syncs nothing to disk. It belongs to the process that started it: a watchdog
// ends it and removes its directory when that process ends, however it ends. As root, the servers run as the user
// "postgres", because PostgreSQL refuses to run as root.
package pgtest
