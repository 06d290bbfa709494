package fanout

import "testing"

// A definition stays as it is but for the passwords in it.
func TestWithoutPasswords(t *testing.T) {
	for _, c := range []struct{ sql, want string }{
		{"CREATE ROLE a;\nALTER ROLE a WITH LOGIN;\n", "CREATE ROLE a;\nALTER ROLE a WITH LOGIN;\n"},
		{"CREATE ROLE a;\nALTER ROLE a WITH LOGIN ENCRYPTED PASSWORD 'md5abc' RESOURCE QUEUE q;\n", "CREATE ROLE a;\nALTER ROLE a WITH LOGIN RESOURCE QUEUE q;\n"},
		{"ALTER ROLE \"a PASSWORD 'x'\" WITH LOGIN PASSWORD 'SCRAM-SHA-256$1:x;y'", "ALTER ROLE \"a PASSWORD 'x'\" WITH LOGIN;\n"},
		{"COMMENT ON ROLE a IS 'PASSWORD ''x''';\n", "COMMENT ON ROLE a IS 'PASSWORD ''x''';\n"},
	} {
		if got := withoutPasswords(c.sql); got != c.want {
			t.Errorf("%q: %q, want %q", c.sql, got, c.want)
		}
	}
}
