package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/pgark/pgark/fanout/topology"
	"github.com/pgark/pgark/wire"
)

// connOptions are the switches that say how to reach a server, as in psql and pg_dump.
type connOptions struct {
	dbname     string
	host       string
	port       string
	user       string
	noPassword bool
	password   bool
	role       string // to be taken on after connecting, "" for none
	nodes      nodeOptions

	given bool // -d or a positional name was given
}

// addFlags adds the switches; database says what -d names.
func (o *connOptions) addFlags(f *pflag.FlagSet, database string) {
	f.StringVarP(&o.dbname, "dbname", "d", "", database)
	f.StringVarP(&o.host, "host", "h", "", "server `host` or socket directory")
	f.StringVarP(&o.port, "port", "p", "", "server `port`")
	f.StringVarP(&o.user, "username", "U", "", "connect as this `user`")
	f.BoolVarP(&o.noPassword, "no-password", "w", false, "never prompt for a password")
	f.BoolVarP(&o.password, "password", "W", false, "prompt for a password before connecting")
	o.nodes.addFlags(f)
}

// addRole adds the switch for commands that pg_dump and pg_restore have it for.
func (o *connOptions) addRole(f *pflag.FlagSet) {
	f.StringVar(&o.role, "role", "", "connect, then SET ROLE to this `role`")
}

func (o *connOptions) validate(f *pflag.FlagSet) error {
	o.given = o.given || f.Changed("dbname")
	if o.noPassword && o.password {
		return usagef("-w/--no-password and -W/--password cannot be used together")
	}
	return o.nodes.validate()
}

// config turns the switches into a configuration. Where -d is a connection string, what it says wins over the
// other switches, as with libpq's own programs.
func (o *connOptions) config() (*wire.Config, error) {
	conninfo, err := o.conninfo()
	if err != nil {
		return nil, err
	}
	cfg, err := wire.ParseConfig(conninfo)
	if err != nil {
		return nil, &usageError{message: err.Error()}
	}
	if o.role != "" { // with the request for the session, so that there is none without it
		cfg = cfg.With(wire.Overrides{Options: "-c role=" + regexp.MustCompile(`[\s\v\\]`).ReplaceAllString(o.role, `\$0`)})
	}
	return cfg, nil
}

func (o *connOptions) conninfo() (string, error) {
	if strings.HasPrefix(o.dbname, "postgres://") || strings.HasPrefix(o.dbname, "postgresql://") {
		return o.fillURI()
	}
	pairs := map[string]string{"host": o.host, "port": o.port, "user": o.user}
	if !strings.Contains(o.dbname, "=") {
		pairs["dbname"] = o.dbname
	}
	maps.DeleteFunc(pairs, func(_, value string) bool { return value == "" })
	text := wire.FormatPairs(pairs)
	if strings.Contains(o.dbname, "=") {
		text += " " + o.dbname
	}
	return strings.TrimSpace(text), nil
}

// fillURI adds the other switches to a URI where it leaves them open.
func (o *connOptions) fillURI() (string, error) {
	if o.host == "" && o.port == "" && o.user == "" {
		return o.dbname, nil
	}
	u, err := url.Parse(o.dbname)
	if err != nil {
		// The error of url.Parse repeats the whole URI, password included.
		return "", usagef("-d: this is not a valid connection URI")
	}
	q := u.Query()
	for _, kv := range [][3]string{
		{"host", o.host, u.Hostname()},
		{"port", o.port, u.Port()},
		{"user", o.user, u.User.Username()},
	} {
		if kv[1] != "" && kv[2] == "" && !q.Has(kv[0]) {
			q.Set(kv[0], kv[1])
		}
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// discoverKeeping is discover, and keeps the session with the coordinator for who goes on with it; it may be nil. The caller closes it.
func (o *connOptions) discoverKeeping(ctx context.Context, a *app) (cluster *topology.Cluster, session *wire.Conn, err error) {
	cluster, err = o.find(ctx, a, func(c *wire.Conn) { session = c })
	return cluster, session, err
}

// discover finds the cluster, asking for a password where the server wants one and a person is there to type it.
func (o *connOptions) discover(ctx context.Context, a *app) (*topology.Cluster, error) {
	return o.find(ctx, a, nil)
}

func (o *connOptions) find(ctx context.Context, a *app, keep func(*wire.Conn)) (*topology.Cluster, error) {
	options := o.nodes.options(a)
	options.Session = keep
	cfg, err := o.config()
	if err != nil {
		return nil, err
	}
	if o.password {
		if cfg, err = a.askPassword(cfg); err != nil {
			return nil, err
		}
	}
	cluster, err := topology.Discover(ctx, cfg, options)
	if err != nil && cfg.Password() == "" && !o.noPassword && !o.password && wantsPassword(err) {
		asked, askErr := a.askPassword(cfg)
		if askErr != nil {
			return nil, withHint(err, "the server wants a password: set PGPASSWORD, write ~/.pgpass, or run pgark in a terminal")
		}
		cluster, err = topology.Discover(ctx, asked, options)
	}
	return cluster, err
}

// wantsPassword tells whether the server refused for want of a password.
func wantsPassword(err error) bool {
	const invalidPassword = "28P01"
	var server *wire.ServerError
	if errors.As(err, &server) {
		return server.Code == invalidPassword
	}
	// A SCRAM exchange without a password fails on this side, before the server has said anything.
	return wire.IsConnect(err) && strings.Contains(err.Error(), "password")
}

// askPassword reads a password from the terminal, which need not be standard input.
func (a *app) askPassword(cfg *wire.Config) (*wire.Config, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("no terminal to ask for a password on: %w", err)
	}
	defer tty.Close()
	fmt.Fprintf(tty, "Password for %s: ", cfg.Addr())
	pw, err := term.ReadPassword(int(tty.Fd()))
	fmt.Fprintln(tty)
	if err != nil {
		return nil, fmt.Errorf("read the password: %w", err)
	}
	return cfg.With(wire.Overrides{Password: string(pw)}), nil
}
