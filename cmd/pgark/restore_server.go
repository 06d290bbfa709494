package main

import (
	"net"
	"strings"

	"github.com/pgark/pgark/wire"
)

// parseServers reads the --server flags: NAME=HOST:PORT/DBNAME, or NAME=key=value pairs. What is given is not repeated in
// errors, apart from the name: it may hold a password.
func parseServers(flags []string) (map[string]map[string]string, error) {
	servers := make(map[string]map[string]string, len(flags))
	for _, text := range flags {
		name, place, ok := strings.Cut(text, "=")
		if !ok || name == "" || place == "" {
			return nil, usagef("--server: must be NAME=HOST:PORT/DBNAME or NAME='host=... port=... dbname=...'")
		}
		if servers[name] != nil {
			return nil, usagef("--server %s is given twice", quoteArg(name))
		}
		options, err := parsePlace(place)
		if err != nil {
			return nil, err
		}
		if options == nil {
			return nil, usagef("--server %s: must be NAME=HOST:PORT/DBNAME or NAME='host=... port=... dbname=...'", quoteArg(name))
		}
		servers[name] = options
	}
	return servers, nil
}

// parsePlace reads where a server is. It returns nil if that can't be told.
func parsePlace(place string) (map[string]string, error) {
	if strings.Contains(place, "=") {
		options, err := wire.ParsePairs(place)
		if err != nil {
			return nil, usagef("--server: %v", err)
		}
		return options, nil
	}
	address, dbname, ok := strings.Cut(place, "/")
	host, port, err := net.SplitHostPort(address)
	if !ok || err != nil || host == "" || port == "" || dbname == "" {
		return nil, nil //nolint:nilnil // the caller says what is wrong
	}
	return map[string]string{"host": host, "port": port, "dbname": dbname}, nil
}
