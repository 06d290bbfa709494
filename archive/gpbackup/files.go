package gpbackup

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Bounds of the search for files.
const (
	maxDepth = 8
	maxFiles = 4 << 20
)

// fileName is what the name of a file says. gpbackup writes it, whatever the directories are.
type fileName struct {
	content   int // of the segment; -1 for the coordinator's
	timestamp string
	oid       uint32 // of the table; 0 if it is no table's own file
	kind      string // "config", "toc", "metadata", "statistics", "report", or "data"
	extension string // of data: "", ".gz", ".zst"
}

// parseFileName reads the name of a file of a set.
func parseFileName(name string) (f fileName, ok bool) {
	rest, ok := strings.CutPrefix(name, "gpbackup_")
	if !ok {
		return f, false
	}
	f.content = -1
	first, tail, _ := strings.Cut(rest, "_")
	if !isTimestamp(trimExtension(first)) {
		n, err := strconv.ParseUint(first, 10, 31)
		if err != nil {
			return f, false
		}
		f.content, rest = int(n), tail
	}
	switch {
	case strings.HasSuffix(rest, "_config.yaml"):
		f.kind, rest = "config", strings.TrimSuffix(rest, "_config.yaml")
	case strings.HasSuffix(rest, "_toc.yaml"):
		f.kind, rest = "toc", strings.TrimSuffix(rest, "_toc.yaml")
	case strings.HasSuffix(rest, "_metadata.sql"):
		f.kind, rest = "metadata", strings.TrimSuffix(rest, "_metadata.sql")
	case strings.HasSuffix(rest, "_statistics.sql"):
		f.kind, rest = "statistics", strings.TrimSuffix(rest, "_statistics.sql")
	case strings.HasSuffix(rest, "_report"):
		f.kind, rest = "report", strings.TrimSuffix(rest, "_report")
	default:
		f.kind = "data"
		plain := trimExtension(rest)
		f.extension, rest = rest[len(plain):], plain
		if stamp, oid, ok := strings.Cut(rest, "_"); ok {
			n, err := strconv.ParseUint(oid, 10, 32)
			if err != nil || n == 0 {
				return f, false
			}
			f.oid, rest = uint32(n), stamp
		}
		if f.content < 0 {
			return f, false
		}
	}
	f.timestamp = rest
	return f, isTimestamp(rest)
}

func trimExtension(name string) string {
	return strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zst")
}

func isTimestamp(s string) bool { return len(s) == 14 && strings.Trim(s, "0123456789") == "" }

// found are the files of all sets in some directories.
type found struct {
	files  map[fileKey]string // paths
	twice  map[fileKey]bool
	stamps []string // of sets that have a configuration, in order
	link   string   // one that was not followed; "" if there is none
	count  int
}

// fileKey names a file among those of all sets. The extension of data is not part of it.
type fileKey struct {
	content   int
	timestamp string
	oid       uint32
	kind      string
}

func (f *fileName) key() fileKey { return fileKey{f.content, f.timestamp, f.oid, f.kind} }

// search finds the files of all sets in directories, to a limited depth. The directories may be links; links in them are not
// followed.
func search(dirs []string) (*found, error) {
	x := &found{files: make(map[fileKey]string), twice: make(map[fileKey]bool)}
	for _, dir := range dirs {
		real, err := realPath(dir)
		if err != nil {
			return nil, err
		}
		if err := x.walk(real, 0); err != nil {
			return nil, err
		}
	}
	slices.Sort(x.stamps)
	x.stamps = slices.Compact(x.stamps)
	return x, nil
}

// realPath is the one spelling of a path that leads through no link.
func realPath(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}

// sameFile tells whether two paths lead to one file, as where a directory is mounted in two places.
func sameFile(a, b string) bool {
	x, err := os.Lstat(a)
	if err != nil {
		return false
	}
	y, err := os.Lstat(b)
	return err == nil && os.SameFile(x, y)
}

func (x *found) walk(dir string, depth int) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		if depth > 0 && os.IsPermission(err) {
			return nil // a directory that is none of the set's: what the set lacks is said when it is looked for
		}
		return err
	}
	for _, e := range entries {
		if x.count++; x.count > maxFiles {
			return fmt.Errorf("%w: more than %d files in %s: name a directory nearer to the set", ErrNotSet, maxFiles, dir)
		}
		path := filepath.Join(dir, e.Name())
		if e.IsDir() && depth < maxDepth {
			if err := x.walk(path, depth+1); err != nil {
				return err
			}
			continue
		}
		if e.Type()&fs.ModeSymlink != 0 && x.link == "" {
			x.link = path
		}
		name, ok := parseFileName(e.Name())
		if !ok || !e.Type().IsRegular() {
			continue
		}
		k := name.key()
		if before, ok := x.files[k]; ok && before != path && !sameFile(before, path) {
			x.twice[k] = true
		}
		x.files[k] = path
		if name.kind == "config" && name.content < 0 {
			x.stamps = append(x.stamps, name.timestamp)
		}
	}
	return nil
}

// find returns the path of a file; it must not be there twice.
func (x *found) find(k fileKey) (string, error) {
	if x.twice[k] {
		return "", fmt.Errorf("%w: file %s is there twice, as in %s", ErrDamaged, k, x.files[k])
	}
	path, ok := x.files[k]
	if !ok {
		return "", x.missing(k)
	}
	return path, nil
}

func (x *found) missing(k fileKey) error {
	if x.link != "" {
		return fmt.Errorf("%w: file %s is missing; links are not followed, as %s: name the directories that they lead to",
			ErrIncomplete, k, x.link)
	}
	return fmt.Errorf("%w: file %s is missing", ErrIncomplete, k)
}

// String is the file's name, without the extension of data.
func (k fileKey) String() string {
	name := "gpbackup_"
	if k.content >= 0 {
		name += strconv.Itoa(k.content) + "_"
	}
	name += k.timestamp
	switch {
	case k.oid > 0:
		name += "_" + strconv.FormatUint(uint64(k.oid), 10)
	case k.kind == "config" || k.kind == "toc":
		name += "_" + k.kind + ".yaml"
	case k.kind == "metadata" || k.kind == "statistics":
		name += "_" + k.kind + ".sql"
	case k.kind == "report":
		name += "_report"
	}
	return name
}

// place says where to look for a set, given a path to one of its files, or to a directory above or below.
func place(path string) (dir, timestamp string, err error) {
	path, err = realPath(path)
	if err != nil {
		return "", "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", "", err
	}
	dir = path
	if !info.IsDir() {
		name, ok := parseFileName(filepath.Base(path))
		if !ok {
			return "", "", fmt.Errorf("%w: %s", ErrNotSet, path)
		}
		dir, timestamp = filepath.Dir(path), name.timestamp
	}
	parts := strings.Split(dir, string(filepath.Separator))
	// .../gpseg-1/backups/20260102/20260102030405: the segments' directories are beside the coordinator's.
	for i := len(parts) - 1; i > 1; i-- {
		if parts[i] != "backups" || len(parts)-i > 3 {
			continue
		}
		if len(parts)-i == 3 && isTimestamp(parts[len(parts)-1]) && timestamp == "" {
			timestamp = parts[len(parts)-1]
		}
		top := i
		if regexp.MustCompile(`-1$`).MatchString(parts[i-1]) {
			top = i - 1
		}
		return strings.Join(parts[:top], string(filepath.Separator)), timestamp, nil
	}
	if base := parts[len(parts)-1]; strings.HasSuffix(base, "-1") {
		if _, err := os.Stat(filepath.Join(dir, "backups")); err == nil {
			return filepath.Dir(dir), timestamp, nil
		}
	}
	return dir, timestamp, nil
}

// IsSet tells whether a path leads to a set: to a file of one, or to a directory that has one in it, maybe through links. It
// looks at names only, and not at many.
func IsSet(path string) bool {
	path, err := realPath(path)
	if err != nil {
		return false
	}
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	if !info.IsDir() {
		name, ok := parseFileName(filepath.Base(path))
		return ok && name.kind != "data"
	}
	const most = 100_000
	seen := 0
	ok := false
	_ = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if seen++; seen > most {
			return fs.SkipAll
		}
		if err != nil {
			return nil //nolint:nilerr // what can't be read is none
		}
		if d.IsDir() && strings.Count(strings.TrimPrefix(p, path), string(filepath.Separator)) > maxDepth {
			return fs.SkipDir
		}
		if name, is := parseFileName(d.Name()); is && !d.IsDir() && (name.kind == "config" || name.kind == "toc") {
			ok = true
			return fs.SkipAll
		}
		return nil
	})
	return ok
}
