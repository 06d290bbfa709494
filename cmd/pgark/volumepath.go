package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pgark/pgark/archive"
)

// volumePath is a template for the paths of a set's volumes, with placeholders for what tells the nodes apart.
type volumePath string

const volumePathHelp = `{node} is the node's name, {host} its host, {content} Greenplum's content id of a segment (-1 for others), {archive} the name
of the lead volume without .pgark. In their values, all but letters, digits and _ + , = @ . - is written as in URLs (%2F), and so is a
. or - at the begin; so no name can lead out of the directory.`

// validate refuses placeholders that there are not.
func (p volumePath) validate() error {
	if p == "" {
		return usagef("--volumes 'DIR/{node}' is missing: the paths of the volumes")
	}
	for _, name := range regexp.MustCompile(`\{[A-Za-z0-9_]*\}`).FindAllString(string(p), -1) {
		switch name {
		case "{node}", "{host}", "{content}", "{archive}":
		default:
			return usagef("--volumes %s: there is no %s; there are {node}, {host}, {content} and {archive}", quoteArg(string(p)), name)
		}
	}
	if strings.HasSuffix(string(p), "/") {
		return usagef("--volumes %s: it names a directory; the paths are those of files: %s", quoteArg(string(p)), quoteArg(string(p)+"{node}"))
	}
	return nil
}

// expand returns the path of a node's volume. lead is the path of the lead volume.
func (p volumePath) expand(n archive.Node, lead string) string {
	return strings.NewReplacer(
		"{node}", pathPart(n.Name), "{host}", pathPart(n.Host), "{content}", strconv.Itoa(int(n.Content)),
		"{archive}", pathPart(strings.TrimSuffix(filepath.Base(lead), ".pgark")),
	).Replace(string(p))
}

// expandAll returns the path of each node's volume, and refuses two that are the same.
func (p volumePath) expandAll(nodes []archive.Node, lead string) ([]string, error) {
	paths := make([]string, len(nodes))
	taken := map[string]string{filepath.Clean(lead): "the lead volume"}
	for i, n := range nodes {
		paths[i] = p.expand(n, lead)
		clean := filepath.Clean(paths[i])
		if other, ok := taken[clean]; ok {
			return nil, &usageError{
				message: fmt.Sprintf("--volumes %s gives %s and node %s the same path, %s", quoteArg(string(p)), visible(other), quoteArg(n.Name), quoteArg(paths[i])),
				hint:    "put {node} or {content} into it",
			}
		}
		taken[clean] = "node " + quoteArg(n.Name)
	}
	return paths, nil
}

// pathPart makes s safe as a part of a file's name: nothing in it is a separator, hides the file, or means anything to a shell.
func pathPart(s string) string {
	if s == "" {
		return "_"
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		plain := strings.ContainsRune("_+,=@", r) || i > 0 && (r == '.' || r == '-') ||
			(unicode.IsLetter(r) || unicode.IsDigit(r)) && r != utf8.RuneError
		for _, c := range []byte(s[i : i+size]) {
			if plain {
				b.WriteByte(c)
			} else {
				fmt.Fprintf(&b, "%%%02X", c)
			}
		}
		i += size
	}
	return b.String()
}

// hostName is the name of this host, as the list of a set's volumes has it.
func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

// recordedPath is what the lead volume says of where a volume is: absolute paths stay, others are made relative to the
// lead volume's directory.
func recordedPath(path, lead string) (string, error) {
	if filepath.IsAbs(path) {
		return filepath.Clean(path), nil
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	dir, err := filepath.Abs(filepath.Dir(lead))
	if err != nil {
		return "", err
	}
	return filepath.Rel(dir, abs)
}
