package wire

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const keepAlive = 30 * time.Second

// Config says how to reach one server. It is immutable: With makes a changed copy, so several goroutines may share it.
// Printing one never shows a password.
type Config struct {
	params   params // what the connection string and the overrides say, without what comes from elsewhere
	pg       *pgconn.Config
	hostaddr string
	tcp      tcpSettings
	err      error // why pg could not be made from params; told by Connect
}

// ParseConfig reads a connection string as libpq does: key=value pairs, a URI, or a plain database name; "" leaves all
// to the environment. What it leaves open comes from PG* variables, service files and ~/.pgpass, again as in libpq.
// Errors never hold a password.
func ParseConfig(conninfo string) (*Config, error) {
	p, err := parseConninfo(conninfo)
	if err != nil {
		return nil, fmt.Errorf("connection settings: %w", err)
	}
	c := newConfig(p)
	if c.err != nil {
		return nil, c.err
	}
	return c, nil
}

// newConfig has pgconn work out the settings. It is not given the passwords: its errors quote what it is given.
func newConfig(p params) *Config {
	c := &Config{params: p, hostaddr: p["hostaddr"]}
	hidden := append(localKeywords(), "sslpassword")
	if password, given := p["password"]; !given || password != "" {
		hidden = append(hidden, "password") // an empty one stays: as in libpq, it stands before PGPASSWORD
	}
	text := p.without(hidden...).String()
	options := pgconn.ParseConfigOptions{
		GetSSLPassword: func(context.Context) string { return p["sslpassword"] },
	}
	pg, err := pgconn.ParseConfigWithOptions(text, options)
	if err != nil {
		c.err = fmt.Errorf("connection settings: %w", err)
		return c
	}
	if p["password"] != "" {
		pg.Password = p["password"]
	}
	// What goes to the server, as pgconn has it, may have come from the service file.
	if c.tcp, err = parseTCP(func(keyword string) string { return cmp.Or(p[keyword], pg.RuntimeParams[keyword]) }); err != nil {
		c.err = fmt.Errorf("connection settings: %w", err)
		return c
	}
	for _, k := range localKeywords() { // may have come from the service file
		delete(pg.RuntimeParams, k)
	}
	if c.hostaddr != "" && strings.Contains(c.hostaddr+p["host"], ",") {
		c.err = errors.New("connection settings: hostaddr works with one host only")
		return c
	}
	c.pg = pg
	return c
}

// localKeywords are settings of libpq that mean nothing to pgconn, which would send them to the server.
func localKeywords() []string {
	return []string{
		"hostaddr", "fallback_application_name", "keepalives", "keepalives_idle", "keepalives_interval",
		"keepalives_count", "tcp_user_timeout", "replication", "gssencmode", "gsslib", "gssdelegation", "sslcompression",
		"sslcrl", "sslcrldir", "requirepeer", "ssl_min_protocol_version", "ssl_max_protocol_version",
		"load_balance_hosts", "sslkeylogfile", "scram_client_key", "scram_server_key",
	}
}

// Overrides are settings that go before those of a connection string, as -h and -p do. Empty ones change nothing.
type Overrides struct {
	Database string
	Host     string // replaces all hosts of the connection string
	Port     uint16
	User     string
	Password string
	Options  string // command-line options for the server process, such as "-c gp_role=utility"; added to others
}

// With gives a changed copy. What Host or Port would make invalid is told by Connect.
func (c *Config) With(o Overrides) *Config {
	p := maps.Clone(c.params)
	set := func(key, value string) {
		if value != "" {
			p[key] = value
		}
	}
	if o.Host != "" {
		delete(p, "hostaddr")
		if strings.Contains(p["port"], ",") && c.pg != nil { // as many ports as the hosts that are gone
			p["port"] = strconv.Itoa(int(c.pg.Port))
		}
	}
	set("dbname", o.Database)
	set("host", o.Host)
	set("user", o.User)
	set("password", o.Password)
	if o.Port != 0 {
		p["port"] = strconv.Itoa(int(o.Port))
	}
	if o.Options != "" {
		before := p["options"]
		if before == "" && c.pg != nil {
			before = c.pg.RuntimeParams["options"] // from PGOPTIONS or the service file
		}
		p["options"] = strings.TrimSpace(before + " " + o.Options)
	}
	return newConfig(p)
}

// Default gives a copy in which the database and the user, where the connection string leaves them open, are these, before
// the environment has its say. A service that the string names may hold them: then nothing is changed.
func (c *Config) Default(database, user string) *Config {
	p := maps.Clone(c.params)
	for key, value := range map[string]string{"dbname": database, "user": user} {
		if _, given := p[key]; !given && value != "" && p["service"] == "" {
			p[key] = value
		}
	}
	return newConfig(p)
}

// Database is the name of the database; the user's name where none is given, as the server has it.
func (c *Config) Database() string {
	if c.pg == nil || c.pg.Database != "" {
		return c.get("dbname", func() string { return c.pg.Database })
	}
	return c.User()
}

// Host is the first host: a name, an address, or the directory of a unix socket.
func (c *Config) Host() string { return c.get("host", func() string { return c.pg.Host }) }

// Port is the port of the first host.
func (c *Config) Port() uint16 {
	if c.pg == nil {
		return 0
	}
	return c.pg.Port
}

// User is the role to connect as.
func (c *Config) User() string { return c.get("user", func() string { return c.pg.User }) }

// Password is the password from the settings, the environment or a password file; "" if there is none.
func (c *Config) Password() string { return c.get("password", func() string { return c.pg.Password }) }

// HoldsPassword says that the connection string itself has a password, of the server or of a client key.
func (c *Config) HoldsPassword() bool {
	return c.params["password"] != "" || c.params["sslpassword"] != ""
}

func (c *Config) get(key string, from func() string) string {
	if c.pg == nil {
		return c.params[key]
	}
	return from()
}

// Addr says where the settings lead to, for messages: "host=db1 port=5432 dbname=sales user=ann". Never a password.
func (c *Config) Addr() string {
	hosts, ports := []string{c.Host()}, []string{strconv.Itoa(int(c.Port()))}
	if c.pg != nil {
		for _, f := range c.pg.Fallbacks { // the same host comes twice, with and without TLS
			host, port := f.Host, strconv.Itoa(int(f.Port))
			if host != hosts[len(hosts)-1] || port != ports[len(ports)-1] {
				hosts, ports = append(hosts, host), append(ports, port)
			}
		}
	}
	return addr(strings.Join(hosts, ","), strings.Join(ports, ","), c.Database(), c.User())
}

func addr(host, port, dbname, user string) string {
	return fmt.Sprintf("host=%s port=%s dbname=%s user=%s", host, port, dbname, user)
}

// String is Addr.
func (c *Config) String() string { return c.Addr() }

// Conninfo is a connection string that leads where the settings lead, to the first host, from a process that knows nothing of
// them: host, port, user and database are in it even if they came from the environment or a service file. What else came from
// there (sslmode …) is not, and no password is.
func (c *Config) Conninfo() string {
	p := maps.Clone(c.params.without("password", "sslpassword", "service", "passfile"))
	p["host"], p["port"], p["user"], p["dbname"] = c.Host(), strconv.Itoa(int(c.Port())), c.User(), c.Database()
	return p.String()
}

// GoString keeps %#v from showing a password.
func (c *Config) GoString() string { return "wire.Config(" + c.Addr() + ")" }

// Format keeps all other verbs from showing a password.
func (c *Config) Format(f fmt.State, verb rune) {
	if verb == 'v' && f.Flag('#') {
		io.WriteString(f, c.GoString()) //nolint:errcheck,gosec // fmt.Formatter has no way to tell
		return
	}
	io.WriteString(f, c.Addr()) //nolint:errcheck,gosec // fmt.Formatter has no way to tell
}

// route records how pgconn reached the server: it tries several hosts and addresses, and does not tell which one it
// was. A route belongs to one Connect.
type route struct {
	network, address string            // of the last connection dialled, which is the one that pgconn kept
	names            map[string]string // host name that each address stands for
	dialer           net.Dialer
	socket           *socket // likewise
}

// dialConfig prepares a copy of the settings for one connect.
func (c *Config) dialConfig(s Settings) (*pgconn.Config, *route) {
	r := &route{names: make(map[string]string), dialer: c.tcp.dialer(c.pg.ConnectTimeout)}
	pg := c.pg.Copy()
	lookup := pg.LookupFunc
	pg.LookupFunc = func(ctx context.Context, host string) ([]string, error) {
		if c.hostaddr != "" {
			r.names[c.hostaddr] = host
			return []string{c.hostaddr}, nil
		}
		addresses, err := lookup(ctx, host)
		for _, a := range addresses {
			r.names[a] = host
		}
		return addresses, err
	}
	pg.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		r.network, r.address = network, address
		nc, err := r.dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		r.socket = &socket{Conn: nc}
		return r.socket, nil
	}
	for _, kv := range s.startup() {
		pg.RuntimeParams[kv[0]] = kv[1]
	}
	if s.ApplicationName != "" && pg.RuntimeParams["application_name"] == "" {
		pg.RuntimeParams["application_name"] = s.ApplicationName
	}
	return pg, r
}

// endpoint gives host and port of the server reached, as libpq would name them.
func (r *route) endpoint() (host, port string) {
	if r.network == "unix" { // /dir/.s.PGSQL.5432
		dir, port, ok := strings.Cut(r.address, "/.s.PGSQL.")
		if !ok {
			return r.address, ""
		}
		return dir, port
	}
	host, port, err := net.SplitHostPort(r.address)
	if err != nil {
		return r.address, ""
	}
	if name := r.names[host]; name != "" && name != host {
		return name, port
	}
	return host, port
}
