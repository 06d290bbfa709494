package main

import (
	"github.com/spf13/pflag"
)

// refusedFlag is a flag of pg_dump, pg_dumpall or pg_restore that has no meaning here, or another way to get what it does.
type refusedFlag struct {
	name, short string
	valued      bool
	why         string
}

// refusedFlags are known, so that the refusal can say what to do instead; they are hidden, so that help lists only what works.
type refusedFlags []refusedFlag

func (r refusedFlags) add(f *pflag.FlagSet) {
	for _, x := range r {
		if x.valued {
			f.StringP(x.name, x.short, "", "not supported")
		} else {
			f.BoolP(x.name, x.short, false, "not supported")
		}
		f.Lookup(x.name).Hidden = true
	}
}

func (r refusedFlags) validate(f *pflag.FlagSet) error {
	for _, x := range r {
		if !f.Changed(x.name) {
			continue
		}
		name := "--" + x.name
		if x.short != "" {
			name = "-" + x.short + "/" + name
		}
		return &usageError{message: name + " is not supported: " + x.why, hint: "see `pgark help` for what is"}
	}
	return nil
}

const (
	whyInserts  = "rows are written as COPY text, which loads faster; pg_dump --inserts and its kin write INSERT statements"
	whyTriggers = "triggers are a matter of the restore: `pgark restore -a --disable-triggers`, as a superuser (-U)"
	whyNames    = "names are quoted where they need it, as in the catalog that pg_dump gives"
	whySession  = "owners are set by ALTER ... OWNER TO"
	whyGlobals  = "use `pg_dumpall --globals-only`; `dump --globals` takes roles and tablespaces along with a database"
)

// dumpRefused are those of pg_dump and pg_dumpall.
func dumpRefused() refusedFlags {
	return refusedFlags{
		{name: "inserts", why: whyInserts},
		{name: "column-inserts", why: whyInserts},
		{name: "attribute-inserts", why: whyInserts},
		{name: "rows-per-insert", valued: true, why: whyInserts},
		{name: "on-conflict-do-nothing", why: whyInserts},
		{name: "encoding", short: "E", valued: true, why: "rows are dumped in the encoding of the database, and converted by the server where they are restored"},
		{name: "superuser", short: "S", valued: true, why: whyTriggers},
		{name: "disable-triggers", why: whyTriggers},
		{name: "use-set-session-authorization", why: whySession},
		{name: "quote-all-identifiers", why: whyNames},
		{name: "disable-dollar-quoting", why: "bodies of functions come as pg_dump quotes them"},
		{name: "binary-upgrade", why: "it is for pg_upgrade only"},
		{name: "enable-row-security", why: "all rows of a table are dumped, or the dump fails: who is subject to row security would lose rows without a word"},
		{name: "extra-float-digits", valued: true, why: "floats are dumped so that they come back exactly"},
		{name: "load-via-partition-root", why: "rows are dumped by partition; a restore sends them through the root where they may belong elsewhere"},
		{name: "serializable-deferrable", why: "the moment is one snapshot, of isolation level repeatable read"},
		{name: "sync-method", valued: true, why: "files are always flushed by fsync"},
		{name: "no-sync", why: "a dump gets its name only when it is on disk"},
		{name: "sequence-data", why: "values of sequences are dumped with the rows, and not by -s"},
		{name: "globals-only", short: "g", why: whyGlobals},
		{name: "roles-only", short: "r", why: whyGlobals},
		{name: "tablespaces-only", why: whyGlobals},
	}
}

// restoreRefused are those of pg_restore.
func restoreRefused() refusedFlags {
	return refusedFlags{
		{name: "superuser", short: "S", valued: true, why: "triggers are disabled by the user who connects: connect as a superuser (-U)"},
		{name: "use-set-session-authorization", why: whySession},
		{name: "enable-row-security", why: "rows are loaded by COPY, which row security does not allow; connect as who is not subject to it"},
		{name: "transaction-size", valued: true, why: "each object is restored by itself, or with -1 all in one transaction"},
	}
}
