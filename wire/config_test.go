package wire

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pgark/pgark/internal/pgtest"
)

func TestParseConninfo(t *testing.T) {
	for in, want := range map[string]params{
		"":                      {},
		"mydb":                  {"dbname": "mydb"},
		"my db":                 {"dbname": "my db"},
		"dbname=a":              {"dbname": "a"},
		` host = h  port=1 `:    {"host": "h", "port": "1"},
		`password='it\'s a\\b'`: {"password": `it's a\b`},
		`password=a\ b user=`:   {"password": "a b", "user": ""},
		"postgres://":           {},
		"postgresql://u:p%40ss@h:1/d?sslmode=require": {"user": "u", "password": "p@ss", "host": "h", "port": "1", "dbname": "d", "sslmode": "require"},
		"postgres://h1:1,[::1]:2/d":                   {"host": "h1,::1", "port": "1,2", "dbname": "d"},
		"postgres://%2Fvar%2Frun/d%20b":               {"host": "/var/run", "dbname": "d b"},
		"postgres:///d?host=/tmp&ssl=true":            {"dbname": "d", "host": "/tmp", "sslmode": "require"},
	} {
		got, err := parseConninfo(in)
		if err != nil {
			t.Errorf("%q: %v", in, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", in, diff)
		}
		again, err := parsePairs(got.String())
		if err != nil || !cmp.Equal(got, again) {
			t.Errorf("%q is written as %s, which reads as %v, %v", in, got, again, err)
		}
	}
}

func TestNoPasswordInMessages(t *testing.T) {
	const secret = "s3cr3t"
	srv := pgtest.Start(t, pgtest.WithHBA("host all locked 127.0.0.1/32 scram-sha-256", "local all locked scram-sha-256"))
	srv.Exec(t, "postgres", "SET password_encryption TO 'scram-sha-256'; CREATE ROLE locked LOGIN PASSWORD 'another'")
	for _, conninfo := range []string{
		"password=" + secret + " =",
		"password='" + secret,
		"password=" + secret + " sslmode=nonsense",
		"password='" + secret + `\'` + secret + "' port=nonsense",
		"postgres://u:" + secret + "/x@h/d",
		"postgres://u:" + secret + "%zz@h/d",
		"postgres://u:" + secret + "@h:port/d",
		"postgres://u@h/d?password=" + secret + "%",
		"postgres://u@h/d?sslpassword=" + secret + "&sslmode=nonsense",
		"host=a,b port=1,2,3 password=" + secret,
		"host=/nowhere password=" + secret,
		srv.Conninfo("postgres") + " user=locked password=" + secret,
		srv.TCPConninfo("postgres") + " user=locked password=" + secret,
		fmt.Sprintf("postgres://locked:%s@127.0.0.1:%d/postgres?sslmode=prefer", secret, srv.Port()),
	} {
		cfg, err := ParseConfig(conninfo)
		if err == nil {
			for _, text := range []string{fmt.Sprint(cfg), fmt.Sprintf("%+v %#v %q %x", cfg, cfg, cfg, cfg), cfg.Addr(), fmt.Sprintf("%v", struct{ C *Config }{cfg})} {
				if strings.Contains(text, secret) {
					t.Errorf("%s is shown as %s", conninfo, text)
				}
			}
			if cfg.Password() != secret && !strings.Contains(conninfo, "sslpassword") {
				t.Errorf("%s: password %q", conninfo, cfg.Password())
			}
			var c *Conn
			if c, err = Connect(testContext(t), cfg, Settings{}); err == nil {
				t.Errorf("connected with %s", conninfo)
				c.Close(testContext(t)) //nolint:gosec // should not be there at all
				continue
			}
			if !IsConnect(err) {
				t.Errorf("not the error of a connect: %v", err)
			}
			if strings.Contains(conninfo, "locked") && !IsPermission(err) {
				t.Errorf("not an error of permission: %v", err)
			}
		}
		for e := err; e != nil; e = errors.Unwrap(e) {
			if strings.Contains(e.Error(), secret) || strings.Contains(fmt.Sprintf("%+v", e), secret) {
				t.Errorf("%s: %v", conninfo, e)
			}
		}
	}
}

func TestWith(t *testing.T) {
	cfg, err := ParseConfig("postgres://ann:pw@h1:1,h2:2/sales?sslmode=disable&options=-c%20a%3Db")
	if err != nil {
		t.Fatal(err)
	}
	changed := cfg.With(Overrides{Host: "other", Database: "db2", Options: "-c gp_role=utility"})
	if got, want := changed.Addr(), "host=other port=1 dbname=db2 user=ann"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := changed.pg.RuntimeParams["options"], "-c a=b -c gp_role=utility"; got != want {
		t.Errorf("options %s, want %s", got, want)
	}
	if got, want := cfg.Addr(), "host=h1,h2 port=1,2 dbname=sales user=ann"; got != want {
		t.Errorf("the original became %s", got)
	}
	if got := cfg.With(Overrides{Port: 7, User: "bob", Password: "x"}); got.Addr() != "host=h1,h2 port=7,7 dbname=sales user=bob" || got.Password() != "x" {
		t.Errorf("%s %s", got, got.Password())
	}
	bad := cfg.With(Overrides{User: "x"})
	bad.err = errors.New("no good")
	if _, err := Connect(context.Background(), bad, Settings{}); !IsConnect(err) {
		t.Errorf("invalid settings: %v", err)
	}
}

// Hosts that don't answer are passed over, and passwords come from the string, the URI or a file.
func TestConnectWithPassword(t *testing.T) {
	srv := pgtest.Start(t, pgtest.WithHBA("host all locked 127.0.0.1/32 scram-sha-256", "local all locked scram-sha-256"))
	srv.Exec(t, "postgres", `SET password_encryption TO 'scram-sha-256'; CREATE ROLE locked LOGIN PASSWORD 'it''s \ secret'`)
	srv.Exec(t, "postgres", `CREATE DATABASE "my db"`)
	passfile := filepath.Join(t.TempDir(), "passfile")
	if err := os.WriteFile(passfile, []byte(`*:*:*:locked:it's \\ secret`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, conninfo := range []string{
		fmt.Sprintf(`host=/nowhere,%s port=1,%d user=locked dbname='my db' password='it\'s \\ secret' target_session_attrs=read-write`, srv.Host(), srv.Port()),
		fmt.Sprintf(`postgres://locked:it's%%20%%5C%%20secret@localhost:%d/my%%20db?sslmode=disable&keepalives_idle=10`, srv.Port()),
		fmt.Sprintf(`host=db.invalid hostaddr=127.0.0.1 port=%d user=locked dbname='my db' passfile=%s sslmode=disable`, srv.Port(), passfile),
	} {
		c := connect(t, conninfo)
		if got, want := mustQuery(t, c, "SELECT current_user || ' ' || current_database()"), "locked my db"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func FuzzParseConninfo(f *testing.F) {
	for _, s := range []string{"a", "a=b", "a='b", `a=\`, "postgres://u:p@[::1]:5/d?x=y%20", "postgres://%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parseConninfo(s)
		if err != nil {
			return
		}
		for k := range p {
			if k == "" || strings.ContainsAny(k, "="+spaces) {
				return // of a URI, where pgconn gets it as an unknown keyword
			}
		}
		if again, err := parsePairs(p.String()); err != nil || !cmp.Equal(p, again) {
			t.Errorf("%q reads as %v and %v, %v", s, p, again, err)
		}
	})
}

// TestOpenSettings fills in what a connection string leaves open, before the environment does.
func TestOpenSettings(t *testing.T) {
	t.Setenv("PGPASSWORD", "from the environment")
	t.Setenv("PGDATABASE", "from_the_environment")
	t.Setenv("PGPASSFILE", "/nonexistent")
	for conninfo, want := range map[string][2]string{
		"host=h":                                {"filled", "from the environment"},
		"host=h dbname=own password=''":         {"own", ""},
		"host=h dbname=own password=own":        {"own", "own"},
		"postgres://u:own@h/own?sslmode=prefer": {"own", "own"},
	} {
		cfg, err := ParseConfig(conninfo)
		if err != nil {
			t.Fatal(err)
		}
		c := cfg.Default("filled", "")
		if c.Database() != want[0] || c.Password() != want[1] || c.HoldsPassword() != (want[1] == "own") {
			t.Errorf("%s: database %s, password %q, %v", conninfo, c.Database(), c.Password(), c.HoldsPassword())
		}
	}
}

// TestConfigErrorSaysOnceWhatItIsAbout: every error of ParseConfig names the connection settings, once, so that callers add nothing.
func TestConfigErrorSaysOnceWhatItIsAbout(t *testing.T) {
	for _, conninfo := range []string{"host=x bogus", "host=x port=abc", "host=a hostaddr=1.1.1.1,2.2.2.2", "postgres://[", "host=x keepalives=x"} {
		_, err := ParseConfig(conninfo)
		if err == nil || strings.Count(err.Error(), "connection settings: ") != 1 {
			t.Errorf("%q: %v", conninfo, err)
		}
	}
}
