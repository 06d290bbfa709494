package fanout

import (
	"errors"
	"strings"
	"testing"

	"github.com/pgark/pgark/archive"
)

func TestRedirectServers(t *testing.T) {
	const ddl = "CREATE SERVER \"odd \"\"OPTIONS\" TYPE 'a' VERSION '1;' FOREIGN DATA WRAPPER postgres_fdw OPTIONS (\n" +
		"    dbname 'it''s',\n    \"fetch_size\" '1000',\n    host '10.0.0.1',\n    hostaddr '10.0.0.1',\n    port '5432'\n);\n\n\n"
	cat := &archive.Catalog{Entries: []archive.Entry{{ID: 1, Kind: "SERVER", Name: `odd "OPTIONS`, DDL: ddl}}}
	with := map[string]map[string]string{`odd "OPTIONS`: {"host": "db'7", "port": "1", "dbname": "copy"}}
	changed, err := redirectServers(cat, with)
	if err != nil {
		t.Fatal(err)
	}
	want := "CREATE SERVER \"odd \"\"OPTIONS\" TYPE 'a' VERSION '1;' FOREIGN DATA WRAPPER postgres_fdw OPTIONS (\n" +
		"    \"fetch_size\" '1000',\n    \"dbname\" 'copy',\n    \"host\" 'db''7',\n    \"port\" '1'\n);\n\n\n"
	if got := changed.Entries[0].DDL; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if cat.Entries[0].DDL != ddl {
		t.Error("the archive's own catalog was changed")
	}

	plain := "CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw;\n"
	got, err := redirectServer(plain, map[string]string{"host": "x"})
	if want := "CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (\n    \"host\" 'x'\n);\n"; err != nil || got != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

func TestRedirectServersRefuses(t *testing.T) {
	host := map[string]string{"host": "x"}
	for ddl, want := range map[string]string{
		"CREATE TABLE t (a int);": "no CREATE SERVER",
		"CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'a' port 'b');":   "its options are not",
		"CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'a":               "its options are not",
		"CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'a\\', port 'b')": "backslash",
		"CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host E'a');":           "its options are not",
		"CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS host 'a';":              "no CREATE SERVER",
		"CREATE SERVER s FOREIGN DATA WRAPPER w -- OPTIONS ();":                 "no CREATE SERVER",
		"CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'a''":             "its options are not",
		"CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (U&\"host\" 'a');":      "its options are not",
		"CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'a') x;":          "its options are not",
		"CREATE SERVER s FOREIGN DATA WRAPPER w":                                "no CREATE SERVER",
		"CREATE SERVER s FOREIGN DATA WRAPPER \"w;":                             "no CREATE SERVER",
		"": "no CREATE SERVER",
	} {
		if got, err := redirectServer(ddl, host); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v; want an error with %q", ddl, got, err, want)
		}
	}
	if _, err := redirectServer("CREATE SERVER s FOREIGN DATA WRAPPER w;", map[string]string{"password": "secret"}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a password: %v", err)
	}
}

func FuzzRedirectServer(f *testing.F) {
	f.Add("CREATE SERVER s TYPE 'a' FOREIGN DATA WRAPPER w OPTIONS (host 'a', port 'b');\n")
	f.Fuzz(func(t *testing.T, ddl string) {
		once, err := redirectServer(ddl, map[string]string{"host": "h"})
		if err != nil {
			return
		}
		twice, err := redirectServer(once, map[string]string{"host": "h"})
		if err != nil || twice != once {
			t.Errorf("%q becomes %q, then %q, %v", ddl, once, twice, err)
		}
	})
}
