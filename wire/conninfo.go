package wire

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// params are the settings of a connection string by libpq's names. Texts of errors made here never hold a value,
// because any value may be a mistyped password.
type params map[string]string

// parseConninfo reads what libpq takes as a connection string or as a database name: a URI, key=value pairs, or, when
// it is neither, the name of a database. See https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING.
func parseConninfo(s string) (params, error) {
	for _, scheme := range []string{"postgresql://", "postgres://"} {
		if rest, ok := strings.CutPrefix(s, scheme); ok {
			return parseURI(rest)
		}
	}
	if strings.Contains(s, "=") {
		return parsePairs(s)
	}
	p := params{}
	if s != "" {
		p["dbname"] = s
	}
	return p, nil
}

const spaces = " \t\n\r\v\f"

// parsePairs reads "key = value" pairs. Values may be in single quotes; a backslash takes the next byte as it is.
func parsePairs(s string) (params, error) {
	p := params{}
	for {
		s = strings.TrimLeft(s, spaces)
		if s == "" {
			return p, nil
		}
		end := strings.IndexAny(s, "="+spaces)
		if end <= 0 {
			return nil, errors.New(`missing "=" or name in connection string`)
		}
		key := s[:end]
		s = strings.TrimLeft(s[end:], spaces)
		if !strings.HasPrefix(s, "=") {
			return nil, errors.New(`missing "=" in connection string`)
		}
		value, rest, err := parseValue(strings.TrimLeft(s[1:], spaces))
		if err != nil {
			return nil, fmt.Errorf("%w after %q in connection string", err, key)
		}
		p.set(key, value)
		s = rest
	}
}

func parseValue(s string) (value, rest string, err error) {
	quoted := strings.HasPrefix(s, "'")
	if quoted {
		s = s[1:]
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			if i++; i < len(s) {
				b.WriteByte(s[i])
			}
		case quoted && c == '\'':
			return b.String(), s[i+1:], nil
		case !quoted && strings.IndexByte(spaces, c) >= 0:
			return b.String(), s[i:], nil
		default:
			b.WriteByte(c)
		}
	}
	if quoted {
		return "", "", errors.New("quoted value without an end")
	}
	return b.String(), "", nil
}

// set takes pgconn's other spelling of dbname, too.
func (p params) set(key, value string) {
	if key == "database" {
		key = "dbname"
	}
	p[key] = value
}

// parseURI reads the rest of a URI after its scheme: [user[:password]@][host[:port][,...]][/dbname][?key=value[&...]].
func parseURI(s string) (params, error) {
	p := params{}
	s, query, _ := strings.Cut(s, "?")
	authority, dbname, _ := strings.Cut(s, "/")
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		user, password, hasPassword := strings.Cut(authority[:i], ":")
		authority = authority[i+1:]
		if err := p.setDecoded("user", user); err != nil {
			return nil, err
		}
		if hasPassword {
			if err := p.setDecoded("password", password); err != nil {
				return nil, err
			}
		}
	}
	if err := p.parseHosts(authority); err != nil {
		return nil, err
	}
	if err := p.setDecoded("dbname", dbname); err != nil {
		return nil, err
	}
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		key, value, ok := strings.Cut(pair, "=")
		key, err := percentDecode(key)
		if !ok || err != nil {
			return nil, errors.New("malformed query parameter in connection URI")
		}
		if key == "ssl" && value == "true" { // JDBC's spelling, which libpq takes
			key, value = "sslmode", "require"
		}
		if err := p.setDecoded(key, value); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// parseHosts reads host[:port][,host[:port]]...; an IPv6 address stands in brackets.
func (p params) parseHosts(s string) error {
	if s == "" {
		return nil
	}
	var hosts, ports []string
	for part := range strings.SplitSeq(s, ",") {
		var host, port string
		if strings.HasPrefix(part, "[") {
			end := strings.IndexByte(part, ']')
			if end < 0 || end+1 < len(part) && part[end+1] != ':' {
				return errors.New("malformed IPv6 address in connection URI")
			}
			host, port = part[1:end], strings.TrimPrefix(part[end+1:], ":")
		} else {
			host, port, _ = strings.Cut(part, ":")
		}
		host, err := percentDecode(host)
		if err != nil {
			return fmt.Errorf("%w in host of connection URI", err)
		}
		if strings.Trim(port, "0123456789") != "" {
			return errors.New(`port in connection URI is not a number (does the password hold a "/", "?", "@" or ":" ` +
				`that is not percent-encoded?)`)
		}
		hosts, ports = append(hosts, host), append(ports, port)
	}
	if slices.ContainsFunc(hosts, func(h string) bool { return h != "" }) {
		p["host"] = strings.Join(hosts, ",")
	}
	if slices.ContainsFunc(ports, func(h string) bool { return h != "" }) {
		p["port"] = strings.Join(ports, ",")
	}
	return nil
}

func (p params) setDecoded(key, raw string) error {
	if raw == "" {
		return nil
	}
	value, err := percentDecode(raw)
	if err != nil {
		return fmt.Errorf("%w in %s of connection URI", err, key)
	}
	p.set(key, value)
	return nil
}

// percentDecode turns %XX into bytes. Unlike in forms, "+" is itself.
func percentDecode(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", errors.New("incomplete percent escape")
		}
		hi, lo := hexDigit(s[i+1]), hexDigit(s[i+2])
		if hi < 0 || lo < 0 || hi == 0 && lo == 0 {
			return "", errors.New("invalid percent escape")
		}
		b.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	return b.String(), nil
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	default:
		return -1
	}
}

// String writes key='value' pairs, sorted by key, that parsePairs and libpq read back.
func (p params) String() string {
	keys := make([]string, 0, len(p))
	for k := range p {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	escape := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	for i, k := range keys {
		keys[i] = k + "='" + escape.Replace(p[k]) + "'"
	}
	return strings.Join(keys, " ")
}

// without is a copy that lacks some keys.
func (p params) without(keys ...string) params {
	q := make(params, len(p))
	for k, v := range p {
		if !slices.Contains(keys, k) {
			q[k] = v
		}
	}
	return q
}
