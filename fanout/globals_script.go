package fanout

import (
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// globalsSection is a part of pg_dumpall's text.
type globalsSection uint8

const (
	sectionResources globalsSection = iota
	sectionRoles
	sectionSettings
	sectionMemberships
	sectionParameters
	sectionTablespaces
	sectionOther // of no kind that it knows
	sectionLater // settings in databases, which have to be there
)

// sectionOf tells where an entry of the server stands.
func sectionOf(e *archive.Entry) globalsSection {
	switch e.Kind {
	case kindResourceQueue, kindResourceGroup:
		return sectionResources
	case kindRole:
		return sectionRoles
	case kindRoleSetting:
		if strings.Contains(e.DDL, inDatabase) {
			return sectionLater
		}
		return sectionSettings
	case kindMembership:
		return sectionMemberships
	case kindParameterACL:
		return sectionParameters
	case kindTablespace:
		return sectionTablespaces
	case kindGlobal:
		return sectionOther
	}
	switch { // comments and the like stand with their object
	case strings.HasPrefix(e.Name, kindTablespace+" "):
		return sectionTablespaces
	case strings.HasPrefix(e.Name, kindRole+" "):
		return sectionRoles
	default:
		return sectionResources
	}
}

// globalsText writes roles and tablespaces as the pg_dumpall of PostgreSQL 15 does, without what stands around them. later is what
// can be carried out only when the databases are there.
func globalsText(entries []archive.Entry) (text, later string) {
	of := make(map[globalsSection][]*archive.Entry)
	for i := range entries {
		e := &entries[i]
		of[sectionOf(e)] = append(of[sectionOf(e)], e)
	}
	var b strings.Builder
	statements := func(list []*archive.Entry) {
		for _, e := range list {
			b.WriteString(e.DDL)
		}
	}
	section := func(title string, list []*archive.Entry, always bool) {
		if len(list) > 0 {
			b.WriteString("--\n-- " + title + "\n--\n\n")
			statements(list)
		}
		if len(list) > 0 || always {
			b.WriteString("\n\n")
		}
	}
	section("Resource queues and groups", of[sectionResources], false)
	section("Other", of[sectionOther], false)
	if roles := of[sectionRoles]; len(roles) > 0 {
		b.WriteString("--\n-- Roles\n--\n\n")
		statements(roles)
		b.WriteString("\n--\n-- User Configurations\n--\n")
	}
	for _, e := range of[sectionSettings] {
		b.WriteString("\n--\n-- User Config \"" + sanitizeLine(e.Name) + "\"\n--\n\n" + e.DDL)
	}
	b.WriteString("\n\n")
	section("Role memberships", of[sectionMemberships], true)
	section("Role privileges on configuration parameters", of[sectionParameters], true)
	section("Tablespaces", of[sectionTablespaces], true)
	text = b.String()
	b.Reset()
	section("Per-Database Role Settings", of[sectionLater], false)
	return text, b.String()
}

// globalsDrops removes databases, tablespaces and roles, as pg_dumpall --clean does it.
func globalsDrops(entries []archive.Entry, databases []string, ifExists bool) string {
	var b strings.Builder
	drop := func(title, kind string, names []string) {
		if len(names) > 0 {
			b.WriteString("--\n-- " + title + "\n--\n\n")
		}
		if ifExists {
			kind += " IF EXISTS"
		}
		for _, name := range names {
			b.WriteString("DROP " + kind + " " + quoteID(name) + ";\n")
		}
		b.WriteString("\n\n")
	}
	named := func(kind string) []string {
		var names []string
		for i := range entries {
			if e := &entries[i]; e.Kind == kind {
				names = append(names, e.Name)
			}
		}
		return names
	}
	kept := slices.DeleteFunc(slices.Clone(databases), isMaintenance)
	drop("Drop databases (except postgres and template1)", kindDatabase, kept)
	drop("Drop tablespaces", kindTablespace, named(kindTablespace))
	drop("Drop roles", kindRole, named(kindRole))
	return b.String()
}

// isMaintenance tells the databases that every server has, which are filled and not created.
func isMaintenance(database string) bool { return database == "postgres" || database == "template1" }
