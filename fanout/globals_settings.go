package fanout

import (
	"context"
	"fmt"
	"strings"

	"github.com/pgark/pgark/wire"
)

// settingsOfAll reads what ALTER ROLE ALL SET has set, as name=value. No pg_dumpall writes it.
func settingsOfAll(ctx context.Context, conn *wire.Conn) ([]string, error) {
	rows, err := conn.QueryStrings(ctx, "SELECT pg_catalog.unnest(setconfig) FROM pg_catalog.pg_db_role_setting WHERE setdatabase = 0 AND setrole = 0")
	if err != nil {
		return nil, fmt.Errorf("read the settings of all roles: %w", err)
	}
	all := make([]string, len(rows))
	for i, row := range rows {
		all[i] = row[0]
	}
	return all, nil
}

// addSettingsOfAll adds an entry for settings of all roles.
func (g *globalsParser) addSettingsOfAll(settings []string) {
	for _, s := range settings {
		name, value, ok := strings.Cut(s, "=")
		if !ok {
			continue
		}
		g.put(kindRoleSetting, allRoles, allKey, "ALTER ROLE ALL SET "+quoteID(name)+" TO "+settingValue(name, value, g.std)+";\n")
	}
}

// settingValue writes the value of a setting as SET takes it. Lists of names are stored with quotes around each where that needs them.
func settingValue(name, value string, std bool) string {
	if !isNameList(name) {
		return stringLiteral(value, std)
	}
	names := splitNames(value)
	if len(names) == 0 {
		return "''"
	}
	for i := range names {
		names[i] = stringLiteral(names[i], std)
	}
	return strings.Join(names, ", ")
}

// isNameList tells which parameters hold lists of names that are quoted one by one: the same in all releases up to 18.
func isNameList(parameter string) bool {
	switch strings.ToLower(parameter) {
	case "local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries", "temp_tablespaces",
		"unix_socket_directories":
		return true
	}
	return false
}

// splitNames divides a list at its commas. A name may stand in double quotes, in which two stand for one; others have no space at
// either end.
func splitNames(list string) []string {
	var names []string
	for rest := strings.TrimLeft(list, " "); rest != ""; rest = strings.TrimLeft(rest, " ") {
		n := quotedLength(rest, 0)
		if rest[0] == '"' {
			names = append(names, strings.ReplaceAll(strings.TrimSuffix(rest[1:n], `"`), `""`, `"`))
			_, rest, _ = strings.Cut(rest[n:], ",")
			continue
		}
		var name string
		name, rest, _ = strings.Cut(rest, ",")
		names = append(names, strings.TrimRight(name, " "))
	}
	return names
}
