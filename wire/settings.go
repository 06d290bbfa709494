package wire

import (
	"slices"
	"strings"
)

// Settings are what a session is given right after it connected.
type Settings struct {
	ApplicationName string      // unless the connection settings name one
	Set             [][2]string // parameters and values; a name that the server doesn't know is an error
	Optional        [][2]string // the same, for parameters that not every server knows; others ignore them

	// Startup sends Set with the request for the session, and nothing after it: for sessions that take no ordinary
	// queries, as those that retrieve from Greenplum's endpoints. Optional is left out, since the server would end a session with a
	// parameter that it doesn't know; so is client_encoding where it is the database's own, which is not known yet. ServerVersionNum
	// is 0, and a connection pooler isn't noticed.
	Startup bool
}

// startup gives the parameters to send with the request for the session.
func (s Settings) startup() [][2]string {
	set := make([][2]string, 0, len(s.Set))
	for _, kv := range s.Set {
		if kv[0] == statementTimeout || s.Startup && (kv[0] != "client_encoding" || kv[1] != serverEncoding) {
			set = append(set, kv)
		}
	}
	return set
}

// statementTimeout always goes with the request: a role's can be too short for the query that sets all others, on a busy machine.
const statementTimeout = "statement_timeout"

// serverEncoding stands for the database's own encoding as the value of client_encoding.
const serverEncoding = ""

// TextSettings makes every session print the same value as the same text, and read it back, whatever the role, the database
// and the environment say, and takes away all timeouts and filters that could stop or shorten a dump. encoding is the one that
// text is sent in; "" means the database's own, with no conversion.
func TextSettings(encoding string) Settings {
	return Settings{
		Set: [][2]string{
			{"client_encoding", encoding},
			{"DateStyle", "ISO, MDY"},
			{"IntervalStyle", "postgres"},
			{"TimeZone", "UTC"},
			{"extra_float_digits", "3"},
			{"bytea_output", "hex"},
			{"array_nulls", "on"}, // off reads NULL within an array as the text "NULL"
			{"search_path", ""},
			{"standard_conforming_strings", "on"},
			{"synchronize_seqscans", "off"},
			{"client_min_messages", "warning"},
			{statementTimeout, "0"},
		},
		Optional: [][2]string{
			{"row_security", "off"}, // an error is better than rows that are quietly missing
			{"lock_timeout", "0"},
			{"idle_in_transaction_session_timeout", "0"},
			{"idle_session_timeout", "0"},
			{"transaction_timeout", "0"},
		},
	}
}

// LoadSettings are [TextSettings] for sessions that only read such text back. It reads the same whatever these parameters are,
// so they stay the database's own: a materialized view that makes a date of a moment, a check or a trigger that does, must see
// the time zone that it sees when the application works.
func LoadSettings(encoding string) Settings {
	s := TextSettings(encoding)
	s.Set = slices.DeleteFunc(s.Set, func(kv [2]string) bool {
		switch kv[0] {
		case "DateStyle", "IntervalStyle", "TimeZone", "bytea_output":
			return true
		}
		return false
	})
	return s
}

// query gives the one query that applies the settings and reports who answers: process, version and database encoding.
func (s Settings) query(encoding string) string {
	var b strings.Builder
	b.WriteString("SELECT pg_catalog.pg_backend_pid(), pg_catalog.current_setting('server_version_num')")
	for _, kv := range s.Set {
		value := kv[1]
		if kv[0] == "client_encoding" && value == serverEncoding {
			value = encoding
		}
		b.WriteString(", pg_catalog.set_config(" + Literal(kv[0]) + ", " + Literal(value) + ", false)")
	}
	if len(s.Optional) == 0 {
		return b.String()
	}
	b.WriteString("; SELECT pg_catalog.set_config(s.name, v.value, false) FROM (VALUES ")
	for i, kv := range s.Optional {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("(" + Literal(kv[0]) + ", " + Literal(kv[1]) + ")")
	}
	b.WriteString(") AS v (name, value) JOIN pg_catalog.pg_settings AS s ON s.name = v.name")
	return b.String()
}
