// Package fanout is the engine: it plans units of work and runs them over many sessions, both ways.
//
// [Dump] takes the moment (locks first, then the snapshots, in moment.go), has pg_dump describe the catalog through the
// leader's own session (pgdump.go, attempt.go), cuts the tables into units (unit.go) and carries their rows through
// readers, encoders and one appender into an archive (reader.go, pipeline.go). It promises that every row belongs to
// that moment, or fails.
//
// A [Cluster] says where rows lie; package topology finds it. Each server that takes part in a moment is a member
// (member.go, share.go), with a snapshot of its own, taken behind the write barrier (barrier.go); what is read of which
// table over which server is a part (parts.go), and the sessions with one server are a lane (lane.go, or cursors.go for
// parallel retrieve cursors). With [VolumeOptions] the lanes are workers' beside the nodes: they get jobs (job.go,
// jobset.go), are started over ssh (starter.go) or by the database (starter_db.go), and do them in work.go.
//
// A [Remote] is a set whose volumes lie on other hosts (remote.go). Workers there have tasks (task.go, taskserve.go): to
// send what is needed to open a volume, to send some of its streams, to check it, or to load it into the node beside it
// (taskload.go), as restore_remote.go asks for.
//
// [Restore] orders the catalog's entries as pg_restore does (ddl.go and the files beside it), carries out definitions,
// shares blocks of rows among sessions, and builds indexes and foreign keys as soon as what they depend on is there
// (restore.go says in which steps). It compares what was sent, and what the server says it took, with the archive's
// digests. Rows go straight back to the nodes that they came from where placement.go and the files beside it can prove
// that they belong there. [ToPostgres] translates what only Greenplum understands. [WriteScript] and [ListTOC] write what pg_restore would.
//
// [PgDump.Globals] reads roles and tablespaces (globals.go and the files beside it), and [RestoreGlobals] makes those that are not there.
// [DumpStock], [ConvertArchive] and [ConvertSource] write pg_dump's formats (stock_write.go), in which rows stand in one order (ordered.go);
// [ImportSource] makes an archive of another program's dump, and [RestoreSource] restores it. closure.go finds what objects depend on,
// redirect.go and the files beside it have a plan's objects made in other schemas.
//
// [DumpCluster], [RestoreCluster], [WriteClusterScript] and [DumpClusterScript] take all databases of a server together (cluster_archive_dump.go and the files
// beside it).
//
// Memory does not depend on the size of tables or rows: pipeline.go and [Restore] state the bounds. No session and no
// goroutine outlives a call.
package fanout
