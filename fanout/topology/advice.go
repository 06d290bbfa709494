package topology

import (
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"

	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/wire"
)

// advice says what to do about a node that can't be used; "" where the error says it itself.
func (d *discovery) advice(n Node, err error) string {
	var server *wire.ServerError
	if errors.As(err, &server) {
		return d.serverAdvice(n, server)
	}
	var dns *net.DNSError
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH) ||
		errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &dns) || strings.Contains(err.Error(), "no answer for") {
		if d.cluster.Layout == fanout.LayoutEqual {
			return "is it running, and is this its address?"
		}
		return fmt.Sprintf("is it running, and does its address lead there from this host? If not (NAT, another network), give the "+
			"address that does: --node %s=HOST:PORT", n.Name)
	}
	return ""
}

func (d *discovery) serverAdvice(n Node, e *wire.ServerError) string {
	switch {
	case strings.Contains(e.Message, "no pg_hba.conf entry") || strings.Contains(e.Message, "pg_hba.conf rejects"):
		return d.hbaAdvice(n, e)
	case notAllowed(e):
		return fmt.Sprintf("the segment did not take %q as a request for utility mode; is it of the same version as its coordinator, %s %s?",
			d.cluster.Dialect.UtilityOption, d.cluster.Dialect.Product, d.cluster.Dialect.Version)
	case e.Code == "42704" && strings.Contains(e.Message, "configuration parameter"):
		return fmt.Sprintf("is it a segment of %s %s at all?", d.cluster.Dialect.Product, d.cluster.Dialect.Version)
	case strings.Contains(e.Message, "no endpoint for the user"):
		return fmt.Sprintf("does %s lead to another instance? Correct the address: --node %s=HOST:PORT", hostPort(n.Config), n.Name)
	case e.Code == "28P01", e.Code == "28000" && d.cluster.Layout != fanout.LayoutSegments:
		return fmt.Sprintf("write a line for %s into ~/.pgpass", hostPort(n.Config))
	case e.Code == "3D000":
		return "does the address lead to another cluster?"
	}
	return ""
}

// hbaAdvice names the line that would let us in, and where it belongs.
func (d *discovery) hbaAdvice(n Node, e *wire.ServerError) string {
	client := "ADDRESS-OF-THIS-HOST"
	if m := regexp.MustCompile(`host "([^"]+)"`).FindStringSubmatch(e.Message); m != nil {
		client = m[1]
	}
	line := fmt.Sprintf("local %s %s peer", hbaName(n.Config.Database()), hbaName(n.Config.User()))
	if client != "[local]" {
		bits := "32"
		if strings.Contains(client, ":") {
			bits = "128"
		}
		method := "scram-sha-256"
		if d.cluster.Dialect.VersionNum < 100000 {
			method = "md5"
		}
		line = fmt.Sprintf("host %s %s %s/%s %s", hbaName(n.Config.Database()), hbaName(n.Config.User()), client, bits, method)
	}
	file := "pg_hba.conf of " + hostPort(n.Config)
	reload := "reload it (pg_reload_conf)"
	if d.cluster.Layout == fanout.LayoutSegments {
		reload = "run gpstop -u"
		if dir := d.directories[n.ID]; dir != "" {
			file = fmt.Sprintf("%s/pg_hba.conf on host %s", dir, n.Config.Host())
		}
	}
	return fmt.Sprintf("add the line %q to %s and %s", line, file, reload)
}

// hbaName quotes a name for pg_hba.conf.
func hbaName(s string) string {
	if regexp.MustCompile(`^[a-z_][a-z0-9_$]*$`).MatchString(s) && s != "all" && s != "replication" {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

func hostPort(c *wire.Config) string {
	return fmt.Sprintf("%s:%d", c.Host(), c.Port())
}
