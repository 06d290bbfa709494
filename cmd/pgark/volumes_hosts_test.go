package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/internal/pgtest"
)

// onHosts are the flags that have workers started for a set's volumes, as processes of this machine.
func (b *volumeBed) onHosts(args ...string) []string {
	return append([]string{"--start", "ssh", "--rsh", "sh -c", "--worker", b.worker}, args...)
}

// dumped makes a set.
func (b *volumeBed) dumped(t *testing.T, args ...string) {
	t.Helper()
	cmd, stderr := b.dump(t, args...)
	if code := exitCode(t, cmd.Run()); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
}

// twin makes a cluster of the same shape, without rows, and returns the flags that have a restore lead there.
func (b *volumeBed) twin(t *testing.T) (db string, flags []string) {
	t.Helper()
	db = b.shards.CreateEqualDB(t)
	for i, srv := range b.shards.Shards {
		for _, name := range []string{"sale", "entry"} {
			srv.Exec(t, db, fmt.Sprintf("CREATE SCHEMA IF NOT EXISTS shop; CREATE TABLE shop.%s (id int, what text)", name))
		}
		flags = append(flags, "--server", fmt.Sprintf("shard%d=%s/%s", i+1, srv.TCPAddr(), db))
	}
	return db, append(flags, "-d", b.shards.Coordinator.Conninfo(db))
}

// same compares the rows of two databases.
func (b *volumeBed) same(t *testing.T, db string) {
	t.Helper()
	for _, table := range []string{"sale", "entry", "local"} {
		query := fmt.Sprintf("SELECT count(*), sum(hashtext(s::text)) FROM shop.%s s", table)
		if got, want := b.shards.Coordinator.QueryString(t, db, query), b.shards.Coordinator.QueryString(t, b.db, query); got != want {
			t.Errorf("shop.%s: %s restored, %s dumped", table, got, want)
		}
	}
}

// local adds a table that the coordinator has itself.
func (b *volumeBed) local(t *testing.T) {
	t.Helper()
	b.shards.Coordinator.Exec(t, b.db, `CREATE TABLE shop.local (id int PRIMARY KEY, what text);
INSERT INTO shop.local SELECT i, 'row ' || i FROM generate_series(1, 2000) i; SELECT lo_from_bytea(0, 'large')`)
}

// TestVolumesOnHosts reads a set by workers only, in every way.
func TestVolumesOnHosts(t *testing.T) {
	t.Parallel()
	b := newVolumeBed(t, 3000)
	b.local(t)
	b.dumped(t)
	t.Run("restore into the same shape", func(t *testing.T) {
		db, into := b.twin(t)
		out := b.run(t, exitDone, slices.Concat([]string{"restore", "-v", "--verify"}, b.onHosts(), into, []string{"set.pgark"})...)
		for _, want := range []string{"volumes are loaded where they lie, by 4 workers", "proven for each table with rows (6)", "verified: 7 tables"} {
			if !strings.Contains(out, want) {
				t.Errorf("it does not say %q:\n%s", want, out)
			}
		}
		b.same(t, db)
		b.quiet(t)
	})
	t.Run("restore into another shape", func(t *testing.T) {
		db := b.shards.Coordinator.CreateDB(t)
		out := b.run(t, exitDone, slices.Concat([]string{"restore", "-v", "--verify", "--to-postgres", "-d", b.shards.Coordinator.Conninfo(db)}, b.onHosts("set.pgark"))...)
		if !strings.Contains(out, "to go through the coordinator: 7 tables") {
			t.Errorf("it does not say what it fetches:\n%s", out)
		}
		b.same(t, db)
	})
	t.Run("restore by one transaction, and as a script", func(t *testing.T) {
		db := b.shards.Coordinator.CreateDB(t)
		b.run(t, exitDone, slices.Concat([]string{"restore", "-1", "--to-postgres", "-d", b.shards.Coordinator.Conninfo(db)}, b.onHosts("set.pgark"))...)
		b.same(t, db)
		b.run(t, exitDone, slices.Concat([]string{"restore", "-f", "here.sql"}, []string{"set.pgark"})...)
		b.run(t, exitDone, slices.Concat([]string{"restore", "-f", "there.sql"}, b.onHosts("set.pgark"))...)
		b.equalFiles(t, "here.sql", "there.sql")
	})
	t.Run("cat and gather", func(t *testing.T) {
		here := b.run(t, exitDone, "cat", "set.pgark", "shop.sale_shard2")
		if there := b.run(t, exitDone, append([]string{"cat"}, b.onHosts("set.pgark", "shop.sale_shard2")...)...); here != there || len(here) < 1000 {
			t.Errorf("cat: %d bytes here, %d bytes there", len(here), len(there))
		}
		b.run(t, exitDone, "gather", "set.pgark", "-f", "here.pgark")
		b.run(t, exitDone, append([]string{"gather"}, b.onHosts("set.pgark", "-f", "there.pgark")...)...)
		b.run(t, exitDone, "diff", "here.pgark", "there.pgark")
		b.run(t, exitDone, "verify", "there.pgark")
	})
	t.Run("only what was asked for", func(t *testing.T) {
		db, into := b.twin(t)
		b.shards.Coordinator.Exec(t, db, "CREATE SCHEMA shop")
		out := b.run(t, exitDone, slices.Concat([]string{"restore", "-v", "-n", "shop", "-t", "local"}, b.onHosts(), into, []string{"set.pgark"})...)
		if strings.Contains(out, "fetching") {
			t.Errorf("it fetches rows that nobody wants, or that lie beside the coordinator:\n%s", out)
		}
		if got := b.shards.Coordinator.QueryString(t, db, "SELECT count(*) FROM shop.local"); got != "2000" {
			t.Errorf("%s rows", got)
		}
	})
	t.Run("tables that hold rows", func(t *testing.T) {
		_, into := b.twin(t)
		restore := slices.Concat([]string{"restore"}, b.onHosts(), into, []string{"set.pgark"})
		b.run(t, exitDone, restore...)
		if out := b.run(t, exitFailed, restore...); !strings.Contains(out, "nothing was changed") {
			t.Errorf("the message does not say that nothing was changed:\n%s", out)
		}
	})
	t.Run("workers only where they are needed", func(t *testing.T) {
		// Everything is here: no worker is started, and it would fail.
		db := b.shards.Coordinator.CreateDB(t)
		b.run(t, exitDone, "restore", "--to-postgres", "--rsh", "/no/such/rsh", "-d", b.shards.Coordinator.Conninfo(db), "set.pgark")
		// The hosts have other names than this one, and the volumes are not here.
		b.forHost(t, "far.pgark", "far.test")
		rsh := filepath.Join(b.dir, "bin", "rsh")
		script := "#!/bin/sh\necho \"$1\" >> '" + b.dir + "/asked'\nshift\nexec \"$@\"\n"
		if err := os.WriteFile(rsh, []byte(script), 0o700); err != nil { //nolint:gosec // it is run
			t.Fatal(err)
		}
		moved := filepath.Join(b.dir, "moved")
		if err := os.Rename(filepath.Join(b.dir, "volumes"), moved); err != nil {
			t.Fatal(err)
		}
		defer os.Rename(moved, filepath.Join(b.dir, "volumes"))
		db = b.shards.Coordinator.CreateDB(t)
		b.run(t, exitDone, "restore", "--to-postgres", "--rsh", rsh+" {host}", "--worker", b.worker, "--volumes", moved+"/{node}.pgark",
			"-d", b.shards.Coordinator.Conninfo(db), "far.pgark")
		b.same(t, db)
		asked, err := os.ReadFile(filepath.Join(b.dir, "asked"))
		if err != nil || !strings.Contains(string(asked), "far.test\n") {
			t.Errorf("hosts that were asked: %q, %v", asked, err)
		}
	})
}

// equalFiles compares two files beside the lead volume.
func (b *volumeBed) equalFiles(t *testing.T, names ...string) {
	t.Helper()
	var all [][]byte
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(b.dir, "lead", name))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, regexp.MustCompile(`\\(un)?restrict .*`).ReplaceAll(text, nil)) // its key is made at random
	}
	if !bytes.Equal(all[0], all[1]) {
		t.Errorf("%s differ", names)
	}
}

// forHost writes the lead volume once more, as if the nodes were on another host.
func (b *volumeBed) forHost(t *testing.T, name, host string) {
	t.Helper()
	a, err := archive.OpenWith(filepath.Join(b.dir, "lead", "set.pgark"), archive.OpenOptions{LeadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	moment, err := a.Moment()
	if err != nil {
		t.Fatal(err)
	}
	other := *moment
	other.Nodes = slices.Clone(moment.Nodes)
	for i := range other.Nodes {
		other.Nodes[i].Host = host
	}
	cat, err := a.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	var volumes []archive.Volume
	bound := make(map[uint32]int32)
	for _, v := range a.Volumes() {
		volumes = append(volumes, *v.Volume)
		for i := range v.Tables {
			if oid := v.Tables[i].OID; v.Tables[i].Entry == 0 {
				bound[oid] = a.TableEntry(&v.Tables[i])
			}
		}
	}
	var bindings []archive.Binding
	for oid, entry := range bound {
		bindings = append(bindings, archive.Binding{OID: oid, Entry: entry})
	}
	slices.SortFunc(bindings, func(x, y archive.Binding) int { return int(int64(x.OID) - int64(y.OID)) })
	var out bytes.Buffer
	w, err := archive.NewWriter(&out, archive.WriterOptions{
		Created: a.Header().Created, Database: a.Header().Database, Tool: a.Header().Tool, Member: archive.Member{Set: a.Header().Member.Set},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{w.SetMoment(&other), w.SetCatalog(cat), w.SetVolumes(volumes, bindings)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.dir, "lead", name), out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestVolumesWrongOnHosts has volumes that are not what they should be, on the hosts where they lie.
func TestVolumesWrongOnHosts(t *testing.T) {
	t.Parallel()
	b := newVolumeBed(t, 3000)
	volume := func(node string) string { return filepath.Join(b.dir, "volumes", node+".pgark") }
	b.dumped(t)
	stale, err := os.ReadFile(volume("shard2"))
	if err != nil {
		t.Fatal(err)
	}
	b.dumped(t, "--force")
	sound := make(map[string][]byte)
	for _, node := range []string{"shard1", "shard2", "shard3"} {
		if sound[node], err = os.ReadFile(volume(node)); err != nil {
			t.Fatal(err)
		}
	}
	put := func(node string, text []byte) {
		if err := os.WriteFile(volume(node), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	host := hostName()
	verify := append([]string{"verify"}, b.onHosts("set.pgark")...)
	b.run(t, exitDone, verify...)
	b.run(t, exitDone, append(verify, "--quick")...)
	b.run(t, exitDone, append(verify, "-d", b.shards.Coordinator.Conninfo(b.db))...)
	_, into := b.twin(t)
	restore := slices.Concat([]string{"restore"}, b.onHosts(), into, []string{"set.pgark"})
	flipped := slices.Clone(sound["shard2"])
	flipped[len(flipped)/4] ^= 1
	torn := sound["shard2"][:len(sound["shard2"])/2]
	for name, tc := range map[string]struct {
		change  func()
		found   []string // in what verify says
		restore []string // in what restore says, before it has changed anything; nil if it would begin
	}{
		"missing": {
			func() { os.Remove(volume("shard2")) },
			[]string{"missing: volume 2 (node shard2, host " + host + ", " + volume("shard2"), `table "shop"."sale_shard2": missing`},
			[]string{"volume 2 (node shard2", volume("shard2"), "nothing was restored"},
		},
		"swapped": {
			func() { put("shard2", sound["shard3"]); put("shard3", sound["shard2"]) },
			[]string{"in its place is volume 3 of the same set", "in its place is volume 2 of the same set", `"shop"."entry_shard3": volume: `},
			[]string{"2 of 3 volumes of the set can't be used"},
		},
		"foreign": {
			func() { put("shard2", []byte("something else")) },
			[]string{"volume: volume 2 (node shard2, ", "not a pgark archive"},
			[]string{"volume 2 (node shard2"},
		},
		"stale": {
			func() { put("shard2", stale) },
			[]string{"volume 2 (node shard2, ", "what is in its place is volume 2 of another set"},
			[]string{"another set"},
		},
		"torn": {
			func() { put("shard2", torn) },
			[]string{host + ":" + volume("shard2"), "truncated: ", `table "shop"."sale_shard2": volume: `},
			[]string{"volume 2 (node shard2"},
		},
		"damaged": {
			func() { put("shard2", flipped) },
			[]string{host + ":" + volume("shard2") + " at offset ", "frame: the block is damaged"},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			for node, text := range sound {
				put(node, text)
			}
			tc.change()
			out := b.run(t, exitFound, verify...)
			for _, want := range tc.found {
				if !strings.Contains(out, want) {
					t.Errorf("verify does not say %q:\n%s", want, out)
				}
			}
			t.Log(out)
			if tc.restore == nil {
				return
			}
			out = b.run(t, exitFailed, restore...)
			for _, want := range tc.restore {
				if !strings.Contains(out, want) {
					t.Errorf("restore does not say %q:\n%s", want, out)
				}
			}
			t.Log(out)
			b.quiet(t)
		})
	}
	// A host that can't be asked is no missing volume.
	out := b.run(t, exitFound, "verify", "--start", "ssh", "--rsh", "false -c", "set.pgark")
	if strings.Count(out, "unchecked: volume ") != 3 || strings.Contains(out, "missing") {
		t.Errorf("verify of hosts that can't be asked says:\n%s", out)
	}
	// A damaged block keeps its own table from being loaded, and no other.
	for node, text := range sound {
		put(node, text)
	}
	put("shard2", flipped)
	out = b.run(t, exitFound, restore...)
	if !strings.Contains(out, "node shard2: ") || !strings.Contains(out, "1 object could not be restored") {
		t.Errorf("restore of a damaged volume says:\n%s", out)
	}
	t.Log(out)
}

// TestVolumesOnHostsOfEqualNodes has workers load nodes that all have the same tables.
func TestVolumesOnHostsOfEqualNodes(t *testing.T) {
	t.Parallel()
	b := newVolumeBed(t, 10)
	from, to := b.shards.CreateEqualDB(t), b.shards.CreateEqualDB(t)
	list := func(db string) []string {
		args := []string{"-d", b.shards.Coordinator.Conninfo(db)}
		for i, srv := range b.shards.Shards {
			args = append(args, "--data-node", fmt.Sprintf("n%d=%s", i, srv.TCPConninfo(db)))
		}
		return args
	}
	for i, srv := range b.shards.All() {
		srv.Exec(t, from, fmt.Sprintf("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, 'node %d' FROM generate_series(1, 1000 + %[1]d) i", i))
	}
	b.run(t, exitDone, slices.Concat([]string{"dump", "-f", "equal.pgark", "--volumes", filepath.Join(b.dir, "volumes", "{node}"), "--rsh", "sh -c", "--worker", b.worker}, list(from))...)
	out := b.run(t, exitDone, slices.Concat([]string{"restore", "-v", "--verify"}, b.onHosts(), list(to), []string{"equal.pgark"})...)
	if got := strings.Count(out, "where they lie, by 1 workers"); got != 4 {
		t.Errorf("%d nodes were loaded by workers, not 4:\n%s", got, out)
	}
	for i, srv := range b.shards.All() {
		if got, want := srv.QueryString(t, to, "SELECT count(*), min(v) FROM t"), fmt.Sprintf("%d|node %d", 1000+i, i); got != want {
			t.Errorf("node %d has %q, want %q", i, got, want)
		}
	}
	// The workers know the archive's names, and load into redirected tables all the same.
	again := b.shards.CreateEqualDB(t)
	out = b.run(t, exitDone, slices.Concat([]string{"restore", "-v", "--verify", "--redirect-schema", "public=new one"}, b.onHosts(), list(again), []string{"equal.pgark"})...)
	if got := strings.Count(out, "where they lie, by 1 workers"); got != 4 {
		t.Errorf("%d nodes were loaded by workers, not 4:\n%s", got, out)
	}
	for i, srv := range b.shards.All() {
		if got, want := srv.QueryString(t, again, `SELECT count(*), min(v) FROM "new one".t`), fmt.Sprintf("%d|node %d", 1000+i, i); got != want {
			t.Errorf("node %d has %q, want %q", i, got, want)
		}
	}
}

// TestVolumesVersions has hosts whose pgark is another one, or none: each is named, before a moment is taken.
func TestVolumesVersions(t *testing.T) {
	b := newVolumeBed(t, 10)
	fake := filepath.Join(b.dir, "bin", "rsh")
	script := `#!/bin/sh
host=$1; shift
case $host in
*host) echo '{"hello":{"tool":"pgark 0.0.1","job":1,"host":"old"}}' ;;
*) exit 127 ;;
esac
`
	if err := os.WriteFile(fake, []byte(script), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	cmd, stderr := b.dump(t, "--rsh", fake+" {host}", "--node", fmt.Sprintf("shard2=localhost:%d", b.shards.Shards[1].Port()))
	if code := exitCode(t, cmd.Run()); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{
		"worker of node shard2, host localhost: host old has pgark 0.0.1, and this is " + toolName, "worker of node shard1, host 127.0.0.1: pgark was not found there",
	} {
		if strings.Count(stderr.String(), want) != 1 {
			t.Errorf("the message should say %q once:\n%s", want, stderr)
		}
	}
	t.Log(stderr)
	if left := b.left(t); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// TestVolumesLatin1 has names that are not UTF-8 travel to workers and back.
func TestVolumesLatin1(t *testing.T) {
	t.Parallel()
	b := newVolumeBed(t, 10)
	from, to := b.shards.CreateEqualDB(t, pgtest.Encoding("LATIN1")), b.shards.CreateEqualDB(t, pgtest.Encoding("LATIN1"))
	list := func(db string) []string {
		args := []string{"-d", b.shards.Coordinator.Conninfo(db)}
		for i, srv := range b.shards.Shards {
			args = append(args, "--data-node", fmt.Sprintf("n%d=%s", i, srv.TCPConninfo(db)))
		}
		return args
	}
	for i, srv := range b.shards.All() {
		srv.Exec(t, from, fmt.Sprintf(`CREATE SCHEMA U&"gr\00F6\00DFe"; CREATE TABLE U&"gr\00F6\00DFe".U&"stra\00DFe" (U&"l\00E4nge" int PRIMARY KEY, v text);
INSERT INTO U&"gr\00F6\00DFe".U&"stra\00DFe" SELECT i, U&'Gr\00FC\00DFe von %d' FROM generate_series(1, 100) i`, i))
	}
	b.run(t, exitDone, slices.Concat([]string{"dump", "-f", "latin1.pgark", "--volumes", filepath.Join(b.dir, "volumes", "{node}"), "--rsh", "sh -c", "--worker", b.worker}, list(from))...)
	b.run(t, exitDone, slices.Concat([]string{"verify"}, b.onHosts(), list(from), []string{"latin1.pgark"})...)
	b.run(t, exitDone, slices.Concat([]string{"restore", "--verify"}, b.onHosts(), list(to), []string{"latin1.pgark"})...)
	for i, srv := range b.shards.All() {
		const query = "SELECT n.nspname::bytea, c.relname::bytea, query_to_xml('SELECT * FROM ' || c.oid::regclass, true, true, '')::text::bytea FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE relkind = 'r' AND nspname LIKE 'gr%'"
		if got, want := srv.QueryString(t, to, query), srv.QueryString(t, from, query); got != want || !strings.HasPrefix(got, `\x6772f6df65|`) {
			t.Errorf("node %d has %.300q, want %.300q", i, got, want)
		}
	}
	volume := filepath.Join(b.dir, "volumes", "n1")
	text, err := os.ReadFile(volume)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/4] ^= 1
	if err := os.WriteFile(volume, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := b.run(t, exitFound, slices.Concat([]string{"verify"}, b.onHosts("latin1.pgark"))...); !strings.Contains(out, `table "größe"."straße"`) {
		t.Errorf("verify does not name the table:\n%s", out)
	}
}

// TestVolumesNothingLeftOfRestores disturbs restores by workers at random moments. No process, session, lock or file is left.
func TestVolumesNothingLeftOfRestores(t *testing.T) {
	t.Parallel()
	b := newVolumeBed(t, 150000)
	b.plain(t)
	b.local(t)
	b.dumped(t)
	db, into := b.twin(t)
	tmp := filepath.Join(b.dir, "tmp")
	empty := func() {
		b.shards.Coordinator.Exec(t, db, "DROP SCHEMA IF EXISTS shop CASCADE; DROP EXTENSION IF EXISTS postgres_fdw CASCADE; SELECT lo_unlink(oid) FROM pg_largeobject_metadata")
		for _, srv := range b.shards.Shards {
			srv.Exec(t, db, "TRUNCATE shop.sale, shop.entry")
		}
	}
	restore := slices.Concat([]string{"restore"}, b.onHosts(), into, []string{"set.pgark"})
	begun := time.Now()
	b.run(t, exitDone, restore...)
	took := time.Since(begun)
	rounds := 18
	if testing.Short() {
		rounds = 10
	}
	all := slices.DeleteFunc(blows(), func(x blow) bool {
		return strings.Contains(x.name, "has its name") || strings.Contains(x.name, "session")
	})
	all = append(all, blow{"the end of a session", func(t *testing.T, b *volumeBed, _ *os.Process, _ <-chan struct{}) bool {
		srv := b.shards.All()[rand.N(len(b.shards.All()))]
		return srv.QueryString(t, "postgres", `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'pgark restore' AND datname = '`+db+`' ORDER BY random() LIMIT 1`) == "t"
	}, []int{exitFailed, exitConnect, exitFound}})
	for i := range rounds {
		blow := all[i%len(all)]
		after := rand.N(took * 11 / 10)
		t.Run(fmt.Sprintf("%d %s after %v", i, blow.name, after.Round(time.Millisecond)), func(t *testing.T) {
			empty()
			cmd, stderr := b.pgark(t, restore...)
			cmd.Env = append(os.Environ(), b.mark, "TMPDIR="+tmp)
			cmd.WaitDelay = 10 * time.Second
			code := struck(t, cmd, after, func(ended <-chan struct{}) { blow.strike(t, b, cmd.Process, ended) })
			b.quietOn(t, db)
			if left := files(t, tmp); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
			if code == exitDone {
				b.same(t, db)
			} else if after > took/4 && !slices.Contains(blow.codes, code) {
				t.Errorf("exit code %d, not one of %v\n%s", code, blow.codes, stderr)
			}
			t.Logf("exit code %d: %s", code, stderr)
		})
	}
	empty()
	b.run(t, exitDone, restore...)
	b.same(t, db)
}

// TestVolumesQuoting has names and paths that would run something if they could.
func TestVolumesQuoting(t *testing.T) {
	b := newVolumeBed(t, 100)
	const nasty = `a b'c"d$(touch HURT)` + "`touch HURT`;touch HURT&|>HURT*?"
	dir := filepath.Join(b.dir, nasty)
	worker := filepath.Join(b.dir, "bin", nasty, "pgark")
	if err := errors.Join(os.Mkdir(filepath.Dir(worker), 0o700), os.Symlink(b.worker, worker)); err != nil {
		t.Fatal(err)
	}
	// As ssh does: the words are joined, and a shell on the other side takes them apart.
	rsh := filepath.Join(b.dir, "bin", "rsh")
	if err := os.WriteFile(rsh, []byte("#!/bin/sh\nhost=$1; shift\nexec sh -c \"$*\"\n"), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	// 127.0.0.1 is here, and would need no remote shell.
	through := []string{"--rsh", "sh -c", "--worker", worker}
	b.run(t, exitDone, slices.Concat([]string{
		"dump", "-d", b.shards.Coordinator.Conninfo(b.db), "-f", nasty + ".pgark", "--volumes", dir + "/{archive}/{node}",
	}, through)...)
	b.run(t, exitDone, slices.Concat([]string{"verify", "--start", "ssh"}, through, []string{nasty + ".pgark"})...)
	_, into := b.twin(t)
	b.run(t, exitDone, slices.Concat([]string{"restore", "--verify", "--start", "ssh"}, through, into, []string{nasty + ".pgark"})...)
	b.run(t, exitDone, "worker", "install", "--hosts", "h1,h2", "--rsh", rsh, "--worker", filepath.Join(dir, nasty, "pgark"))
	b.run(t, exitDone, "worker", "install", "--hosts", "h;touch HURT $(touch HURT)", "--rsh", rsh, "--worker", filepath.Join(dir, nasty, "pgark"))
	if _, err := os.Stat(filepath.Join(dir, nasty, "pgark")); err != nil {
		t.Error(err)
	}
	err := filepath.WalkDir(b.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Name() == "HURT" {
			t.Errorf("something was run: %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(fanout.ShellWord("a'b"), `'\''`) {
		t.Error("the quoting of this test has lost its sense")
	}
}
