package pgtest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Recording is what a real Greenplum said about itself, see testdata/greenplum.
type Recording struct {
	UtilityOption string // that its segments want of a session
	Coordinator   Instance
	Segments      []Instance         // by content
	Configuration []ConfigurationRow // of gp_segment_configuration
	Extensions    []string           // some of those that could be created
	Refusals      map[string]Refusal // of a session with a segment, by the constants below
}

// Instance is one of its servers: values of settings by name, and of version().
type Instance struct {
	Version  string
	Settings map[string]string
}

// ConfigurationRow is one row of gp_segment_configuration.
type ConfigurationRow struct {
	DBID          int
	Content       int
	Role          string
	PreferredRole string
	Mode          string
	Status        string
	Port          int
	Hostname      string
	Address       string
	Datadir       string
}

// Refusal holds the fields of an error by their letters in the protocol.
type Refusal map[string]string

// Why a segment refuses a session.
const (
	RefusedPlain  = "plain"         // it did not ask for utility mode
	RefusedOption = "other option"  // it did with another version's option
	RefusedHBA    = "no hba record" // pg_hba.conf has no line for it
)

// RecordingFile is where a recording lies.
func RecordingFile(tb testing.TB, version string) string {
	tb.Helper()
	return filepath.Join(moduleRoot(tb), "testdata", "greenplum", version+".json")
}

// ReadRecording reads what the real one said.
func ReadRecording(tb testing.TB, version string) *Recording {
	tb.Helper()
	b, err := os.ReadFile(RecordingFile(tb, version))
	if err != nil {
		tb.Fatal(err)
	}
	r := &Recording{}
	if err := json.Unmarshal(b, r); err != nil {
		tb.Fatalf("recording of Greenplum %s: %v", version, err)
	}
	return r
}

// Imitation is a stock PostgreSQL that behaves like a Greenplum as far as a client sees that finds out about the cluster:
// each instance has a front of its own, which demands the utility option of a segment's session and takes it out, and puts
// the recorded settings and version into queries. All other statements reach the stock server, which all fronts
// share. It imitates neither storage, nor distribution, nor retrieval from endpoints.
type Imitation struct {
	Coordinator *Front
	Segments    []*Front // by content
}

// Imitate makes the fronts, in the order of the recording, and puts gp_segment_configuration into the server's database:
// as recorded, with the fronts' addresses. Rows of mirrors keep theirs. The fronts are closed when the test ends.
func Imitate(tb testing.TB, srv *Server, db string, r *Recording) *Imitation {
	tb.Helper()
	im := &Imitation{Coordinator: newFront(tb, srv, r, r.Coordinator, "")}
	for _, s := range r.Segments {
		im.Segments = append(im.Segments, newFront(tb, srv, r, s, r.UtilityOption))
	}
	var sql strings.Builder
	sql.WriteString(`SET allow_system_table_mods = on;
CREATE TABLE pg_catalog.gp_segment_configuration (dbid int2, content int2, role "char", preferred_role "char", mode "char",
	status "char", port int4, hostname text, address text, datadir text);
GRANT SELECT ON pg_catalog.gp_segment_configuration TO public;
`)
	for _, c := range r.Configuration {
		port := c.Port
		switch {
		case c.Role != "p":
		case c.Content == -1:
			port = im.Coordinator.Port()
		default:
			port = im.Segments[c.Content].Port()
		}
		fmt.Fprintf(&sql, "INSERT INTO pg_catalog.gp_segment_configuration VALUES (%d, %d, %s, %s, %s, %s, %d, %s, %s, %s);\n",
			c.DBID, c.Content, quoteLiteral(c.Role), quoteLiteral(c.PreferredRole), quoteLiteral(c.Mode), quoteLiteral(c.Status),
			port, quoteLiteral(c.Hostname), quoteLiteral(c.Address), quoteLiteral(c.Datadir))
	}
	srv.Exec(tb, db, sql.String())
	return im
}

// Conninfo connects to a database through the coordinator's front.
func (im *Imitation) Conninfo(dbname string) string {
	return conninfo(loopback, im.Coordinator.Port(), dbname)
}

// rewrite puts what was recorded into a query.
func (i Instance) rewrite(sql string, extensions []string) string {
	pairs := []string{"pg_catalog.version()", quoteLiteral(i.Version)}
	for name, value := range i.Settings {
		pairs = append(pairs, "pg_catalog.current_setting("+quoteLiteral(name)+")", quoteLiteral(value)+"::text")
	}
	list := make([]string, len(extensions))
	for n, e := range extensions {
		list[n] = quoteLiteral(e)
	}
	pairs = append(pairs, "pg_catalog.pg_available_extensions ",
		"(SELECT name FROM unnest(ARRAY["+strings.Join(list, ", ")+"]::text[]) AS name) AS pg_available_extensions ")
	return strings.NewReplacer(pairs...).Replace(sql)
}

// stripOption takes the utility option out of a startup's options. It tells whether it was there, and whether another
// version's was.
func stripOption(options, utility string) (rest string, found, other bool) {
	var kept []string
	words := strings.Fields(options)
	for i := 0; i < len(words); i++ {
		if words[i] == "-c" && i+1 < len(words) {
			option := "-c " + words[i+1]
			if option == utility {
				found = true
				i++
				continue
			}
			if option == "-c gp_role=utility" || option == "-c gp_session_role=utility" {
				other = true
			}
		}
		kept = append(kept, words[i])
	}
	return strings.Join(kept, " "), found, other
}

func portOf(addr string) int {
	n, err := strconv.Atoi(addr[strings.LastIndexByte(addr, ':')+1:])
	if err != nil {
		return 0
	}
	return n
}
