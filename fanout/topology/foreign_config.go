package topology

import "github.com/pgark/pgark/wire"

// serverKeywords are the options of postgres_fdw's servers and user mappings that say how to connect, which are libpq's.
// All others are the wrapper's own, such as fetch_size. Left out of libpq's are those that are ours to choose
// (application_name, client_encoding).
func serverKeywords() []string {
	return []string{
		"host", "hostaddr", "port", "dbname", "user", "password", "passfile", "service", "servicefile", "options",
		"connect_timeout", "target_session_attrs", "sslmode", "sslnegotiation", "sslcert", "sslkey", "sslpassword",
		"sslrootcert", "sslsni", "sslcertmode", "channel_binding", "require_auth", "krbsrvname",
		"min_protocol_version", "max_protocol_version",
	}
}

// config says how to reach the server as postgres_fdw does on the coordinator. What is left open there is the default of
// the coordinator's host: no host means that host, no port 5432, no database the one with the user's name. PGPASSWORD
// is never sent to a server that the catalog names: whoever may create one could have it sent to himself.
func (s *foreignServer) config(coordinator *wire.Config) (*wire.Config, error) {
	settings := map[string]string{"port": "5432", "user": s.user, "password": ""}
	if s.options["hostaddr"] == "" && s.options["service"] == "" {
		settings["host"] = coordinator.Host()
	}
	for _, k := range serverKeywords() {
		if v, ok := s.options[k]; ok {
			settings[k] = v
		}
	}
	if settings["host"] == "" && settings["hostaddr"] != "" {
		settings["host"] = settings["hostaddr"]
	}
	if settings["dbname"] == "" && settings["service"] == "" {
		settings["dbname"] = settings["user"]
	}
	return wire.ParseConfig(wire.FormatPairs(settings))
}
