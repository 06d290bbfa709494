package fanout

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// scriptedGreenplum says what a real Greenplum 6 was seen to say to a reader over cursors: a coordinator and two segments in
// this process. Its fields change what it says.
type scriptedGreenplum struct {
	t       *testing.T
	cluster *Cluster

	mu       sync.Mutex
	rows     [2][]string       // of one column, on each segment
	say      map[string]string // the beginning of a statement → the error that answers it, or one of these words:
	heard    []string          // by the coordinator
	sessions []string          // startup options and password of each retrieve session
	rest     map[string]int    // endpoint → rows that have been retrieved
	wait     sync.WaitGroup
	conns    []net.Conn
	over     bool
}

// The words that are no errors.
const (
	sayGone  = "gone"  // the connection is closed instead
	sayFalse = "false" // not finished
	sayOne   = "one"   // only the first segment's endpoint
	sayTwice = "twice" // two endpoints on one segment
	sayOther = "other" // an endpoint on a segment that nobody knows

	sayNobody = "nobody" // of RETRIEVE: no retrieve session is let in
)

const cursorToken = "f72ce8dd09922aa88f13c12afa89a6ae"

func newScriptedGreenplum(t *testing.T) *scriptedGreenplum {
	t.Helper()
	s := &scriptedGreenplum{t: t, say: map[string]string{}, rest: map[string]int{}}
	ports := make([]int, 3)
	var listeners []net.Listener
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, l)
		ports[i] = l.Addr().(*net.TCPAddr).Port
		s.wait.Go(func() { s.accept(l, i-1) })
	}
	t.Cleanup(func() {
		for _, l := range listeners {
			_ = l.Close()
		}
		s.mu.Lock()
		s.over = true
		for _, c := range s.conns {
			_ = c.Close()
		}
		s.mu.Unlock()
		s.wait.Wait()
	})
	config := func(port int) *wire.Config {
		cfg, err := wire.ParseConfig(fmt.Sprintf("host=127.0.0.1 port=%d user=ann password=anns dbname=shop sslmode=disable", port))
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	s.cluster = &Cluster{
		Layout: LayoutSegments, Coordinator: Node{Name: "coordinator", Content: -1, Config: config(ports[0])},
		Nodes: []Node{
			{ID: 1, Name: "seg0", Content: 0, Config: config(ports[1])}, {ID: 2, Name: "seg1", Content: 1, Config: config(ports[2])},
		},
		Dialect: Dialect{RetrieveOption: "-c gp_retrieve_conn=true", EndpointsQuery: endpointsOfSession},
	}
	return s
}

func (s *scriptedGreenplum) accept(l net.Listener, content int) {
	for {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns = append(s.conns, nc)
		if s.over {
			_ = nc.Close()
		}
		s.mu.Unlock()
		s.wait.Go(func() {
			defer nc.Close()
			s.serve(pgproto3.NewBackend(nc, nc), content)
		})
	}
}

// serve answers one session. What goes wrong in it shows at the other end.
func (s *scriptedGreenplum) serve(b *pgproto3.Backend, content int) {
	m, err := b.ReceiveStartupMessage()
	start, ok := m.(*pgproto3.StartupMessage)
	if err != nil || !ok {
		return // a request to cancel
	}
	if content >= 0 && !s.letIn(b, start) {
		return
	}
	b.Send(&pgproto3.AuthenticationOk{})
	for k, v := range map[string]string{"server_encoding": "UTF8", "client_encoding": "UTF8", "server_version": "9.4.26"} {
		b.Send(&pgproto3.ParameterStatus{Name: k, Value: v})
	}
	b.Send(&pgproto3.BackendKeyData{ProcessID: 4711, SecretKey: []byte{1, 2, 3, 4}})
	for {
		b.Send(&pgproto3.ReadyForQuery{TxStatus: 'T'})
		if b.Flush() != nil {
			return
		}
		m, err := b.Receive()
		q, ok := m.(*pgproto3.Query)
		if err != nil || !ok {
			return
		}
		if !s.answer(b, content, q.String) {
			return
		}
	}
}

// letIn asks for the token as a password. Everything that shapes text must have come with the startup message.
func (s *scriptedGreenplum) letIn(b *pgproto3.Backend, start *pgproto3.StartupMessage) bool {
	b.Send(&pgproto3.AuthenticationCleartextPassword{})
	if b.Flush() != nil || b.SetAuthType(pgproto3.AuthTypeCleartextPassword) != nil {
		return false
	}
	m, err := b.Receive()
	p, ok := m.(*pgproto3.PasswordMessage)
	if err != nil || !ok {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions = append(s.sessions, fmt.Sprintf("%s %s %s %s %s %s", start.Parameters["user"], start.Parameters["options"], p.Password,
		start.Parameters["extra_float_digits"], start.Parameters["TimeZone"], start.Parameters["client_encoding"]))
	if p.Password == cursorToken && s.say["RETRIEVE"] != sayNobody {
		return true
	}
	b.Send(&pgproto3.ErrorResponse{
		Severity: "FATAL", Code: "28P01", Message: "Authentication failure (Wrong password or no endpoint for the user)",
	})
	_ = b.Flush() // shows at the other end
	return false
}

func (s *scriptedGreenplum) answer(b *pgproto3.Backend, content int, sql string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	word := ""
	for prefix, say := range s.say {
		if strings.HasPrefix(sql, prefix) {
			word = say
		}
	}
	if word == sayGone {
		return false
	}
	if strings.Contains(word, " ") {
		b.Send(&pgproto3.ErrorResponse{Severity: "ERROR", Code: word[:5], Message: word[6:]})
		return true
	}
	verb, _, _ := strings.Cut(sql, " ")
	if content >= 0 {
		if verb != "RETRIEVE" {
			b.Send(&pgproto3.ErrorResponse{Severity: "ERROR", Code: "0A000", Message: "This is a retrieve connection, but the query is not a RETRIEVE."})
			return true
		}
		s.retrieve(b, content, strings.Fields(sql))
		return true
	}
	if !strings.HasPrefix(sql, "SELECT pg_catalog.pg_backend_pid()") {
		s.heard = append(s.heard, verb)
	}
	switch {
	case strings.HasPrefix(sql, "SELECT pg_catalog.pg_backend_pid()"):
		sendRows(b, "SELECT 1", 2, []string{"4711", "90426"})
	case strings.HasPrefix(sql, "SELECT gp_segment_id"):
		s.endpoints(b, word)
	case strings.HasPrefix(sql, "SELECT finished"):
		sendRows(b, "SELECT 1", 1, []string{map[bool]string{true: "f", false: "t"}[word == sayFalse]})
	default:
		b.Send(&pgproto3.CommandComplete{CommandTag: []byte(verb)})
	}
	return true
}

func (s *scriptedGreenplum) endpoints(b *pgproto3.Backend, word string) {
	cursor := "pgark_" + strconv.Itoa(len(s.heard)/5+1) // five statements for each cursor
	row := func(content, cursor string) []string {
		return []string{content, cursorToken, cursor, "unreachable.example", "1", "ep of " + cursor + " at " + content}
	}
	rows := [][]string{row("0", "somebody_elses"), row("0", cursor), row("1", cursor)}
	switch word {
	case sayOne:
		rows = rows[:2]
	case sayTwice:
		rows = append(rows, row("1", cursor))
	case sayOther:
		rows = append(rows, row("7", cursor))
	}
	sendRows(b, "SELECT 1", 6, rows...)
}

func (s *scriptedGreenplum) retrieve(b *pgproto3.Backend, content int, words []string) {
	most, err := strconv.Atoi(words[1])
	name := strings.Join(words[4:], " ")
	if err != nil || !strings.HasPrefix(name, `"ep of pgark_`) {
		b.Send(&pgproto3.ErrorResponse{Severity: "ERROR", Code: "22023", Message: "the endpoint does not exist: " + name})
		return
	}
	left := s.rows[content][s.rest[name]:]
	left = left[:min(most, len(left))]
	s.rest[name] += len(left)
	rows := make([][]string, len(left))
	for i := range left {
		rows[i] = []string{left[i]}
	}
	sendRows(b, "RETRIEVE", 1, rows...)
}

func sendRows(b *pgproto3.Backend, tag string, columns int, rows ...[]string) {
	var d pgproto3.RowDescription
	for range columns {
		d.Fields = append(d.Fields, pgproto3.FieldDescription{Name: []byte("c")})
	}
	b.Send(&d)
	for _, row := range rows {
		var m pgproto3.DataRow
		for _, v := range row {
			m.Values = append(m.Values, []byte(v))
		}
		b.Send(&m)
	}
	b.Send(&pgproto3.CommandComplete{CommandTag: []byte(tag)})
}

// read reads tables over cursors, each of the same rows.
func (s *scriptedGreenplum) read(tables int) ([]archive.Stream, *wire.Conn, error) {
	s.t.Helper()
	conn, err := wire.Connect(s.t.Context(), s.cluster.Coordinator.Config, wire.TextSettings(""))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { closeSession(context.Background(), conn) })
	units := make([]*unit, tables)
	for i := range units {
		units[i] = cursorOn("t", "SELECT v FROM t")
	}
	streams, err := readByCursors(s.t.Context(), conn, s.cluster, units...)
	return streams, conn, err
}

// Each segment has one session for all cursors, opened with the token and all settings; its rows make one stream.
func TestCursorSessions(t *testing.T) {
	s := newScriptedGreenplum(t)
	for i := range 2000 {
		s.rows[0] = append(s.rows[0], fmt.Sprint("a\t", i))
		s.rows[1] = append(s.rows[1], strings.Repeat(fmt.Sprint("b\n", i), i%100))
	}
	s.rows[1] = append(s.rows[1], strings.Repeat("x", 5<<20))
	streams, _, err := s.read(3)
	if err != nil {
		t.Fatal(err)
	}
	var want [2]archive.Digest
	for i, rows := range s.rows {
		for _, row := range rows {
			want[i].Add([]byte(strings.NewReplacer("\t", `\t`, "\n", `\n`).Replace(row)))
		}
	}
	if len(streams) != 6 {
		t.Fatalf("%d streams", len(streams))
	}
	for _, st := range streams {
		if st.Node < 1 || st.Node > 2 || st.Digest != want[st.Node-1] {
			t.Errorf("node %d: %v", st.Node, st.Digest)
		}
	}
	const session = "ann -c gp_retrieve_conn=true " + cursorToken + " 3 UTC UTF8"
	if len(s.sessions) != 2 || s.sessions[0] != session || s.sessions[1] != session {
		t.Errorf("retrieve sessions: %q", s.sessions)
	}
	if got := strings.Join(s.heard[:5], " "); got != "SAVEPOINT DECLARE SELECT SELECT ROLLBACK" || len(s.heard) != 15 {
		t.Errorf("the coordinator heard %q", s.heard)
	}
}

// A small table is not worth a cursor.
func TestCursorUnits(t *testing.T) {
	table := &table{relation: relation{OID: 1, Schema: "public", Name: "t"}, Columns: []string{"a"}}
	for bytes, want := range map[uint64]string{
		cursorMin - 1: `COPY "public"."t" ("a") TO STDOUT`, cursorMin: `SELECT "a" FROM ONLY "public"."t"`,
	} {
		u := cursorUnit(&part{table: table, from: "ONLY " + table.quoted(), columns: table.Columns, bytes: bytes})
		if u.sql != want || u.forCursor() != (bytes == cursorMin) || u.table.units != 1 {
			t.Errorf("%d bytes: %s, %v", bytes, u.sql, u.forCursor())
		}
	}
}

// Nothing that goes wrong, anywhere, passes for a table that has been read.
func TestCursorFaults(t *testing.T) {
	for name, tc := range map[string]struct {
		statement, say, want string
	}{
		"declare":        {"DECLARE", "42501 permission denied for relation t", "permission denied"},
		"savepoint":      {"SAVEPOINT", "25P02 current transaction is aborted", "aborted"},
		"endpoints":      {"SELECT gp_segment_id", "XX000 no segments", "list its endpoints"},
		"node":           {"SELECT gp_segment_id", sayOther, "content 7"},
		"two on a node":  {"SELECT gp_segment_id", sayTwice, "two endpoints on seg1"},
		"on the segment": {"RETRIEVE", "XX000 endpoint is not available", "seg"},
		"segment gone":   {"RETRIEVE", sayGone, "seg"},
		"cut short":      {"SELECT finished", "22012 division by zero (seg0)", "the coordinator says: ERROR: division by zero (seg0)"},
		"not finished":   {"SELECT finished", sayFalse, "does not confirm"},
		"coordinator":    {"SELECT finished", sayGone, "connection lost"},
		"close":          {"ROLLBACK", "XX000 cannot", "close it"},
	} {
		s := newScriptedGreenplum(t)
		s.rows = [2][]string{{"a", "b"}, {"c"}}
		s.say[tc.statement] = tc.say
		streams, _, err := s.read(1)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, %v", name, streams, err)
		}
		if err != nil && (strings.Contains(err.Error(), cursorToken) || strings.Contains(err.Error(), "anns")) {
			t.Errorf("%s: the error holds a secret: %v", name, err)
		}
	}
	s := newScriptedGreenplum(t)
	s.say["SELECT gp_segment_id"] = sayOne
	if streams, _, err := s.read(1); err != nil || len(streams) != 1 || streams[0].Node != 1 {
		t.Errorf("one endpoint: %v, %v", streams, err)
	}
	s.cluster.Dialect.EndpointsQuery = "TABLE nothing"
	if _, _, err := s.read(1); err == nil || !strings.Contains(err.Error(), "it has no endpoints") {
		t.Errorf("no endpoints: %v", err)
	}
	s.cluster.Dialect.EndpointsQuery = endpointsOfSession
	// The coordinator knows better than the segment why, also where the endpoint has gone before there was a session with it.
	s.rows[0] = []string{"a"}
	s.say["SELECT finished"] = "22012 division by zero"
	for _, segment := range []string{"XX000 endpoint is not available", sayNobody} {
		s.say["RETRIEVE"], s.heard = segment, nil
		_, _, err := s.read(1)
		if err == nil || !strings.HasPrefix(err.Error(), "parallel retrieve cursor: the coordinator says: ERROR: division by zero") {
			t.Errorf("reason of %q: %v", segment, err)
		}
	}
}

func TestCursorLockTimeout(t *testing.T) {
	s := newScriptedGreenplum(t)
	s.say["DECLARE"] = "55P03 canceling statement due to lock timeout"
	_, conn, err := s.read(1)
	if !wire.IsLockTimeout(err) || conn.Pending() != 0 || s.heard[len(s.heard)-1] != "ROLLBACK" {
		t.Errorf("%v, %d pending, %q", err, conn.Pending(), s.heard)
	}
}

// A token that the segment does not take is an error of permission, which names the segment.
func TestCursorWrongToken(t *testing.T) {
	s := newScriptedGreenplum(t)
	conn, err := wire.Connect(t.Context(), s.cluster.Coordinator.Config, wire.TextSettings(""))
	if err != nil {
		t.Fatal(err)
	}
	defer closeSession(t.Context(), conn)
	r := newCursorReader(conn, nil, s.cluster)
	_, err = r.openSession(t.Context(), &endpoint{name: "e", token: "wrong", node: &s.cluster.Nodes[1]})
	if !wire.IsPermission(err) || !strings.Contains(err.Error(), "seg1") || strings.Contains(err.Error(), "wrong\"") {
		t.Errorf("%v", err)
	}
}
