package pgtest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
)

// ErrMissing says that no PostgreSQL server is installed here.
var ErrMissing = errors.New("no PostgreSQL server programs found (initdb, postgres)")

// BinDirEnv names the environment variable that holds the directory of the server programs to test with. It goes
// before everything else, so that one test suite can run against several versions; PATH should begin with it, too, for pg_dump.
const BinDirEnv = "PGARK_TEST_PGBIN"

// FindBinDir gives the directory that holds initdb and postgres: $PGARK_TEST_PGBIN, else one in PATH, else the newest
// version that Debian's packages have installed.
func FindBinDir() (string, error) {
	if dir := os.Getenv(BinDirEnv); dir != "" {
		if !hasPrograms(dir, "initdb", "postgres") {
			return "", fmt.Errorf("%w in %s=%s", ErrMissing, BinDirEnv, dir)
		}
		return dir, nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		// On a host of Greenplum it is often that one's, which makes another kind of server.
		out, err := exec.Command(path, "--version").Output()
		if real, linkErr := filepath.EvalSymlinks(path); err == nil && linkErr == nil &&
			bytes.Contains(out, []byte("(PostgreSQL)")) && hasPrograms(filepath.Dir(real), "initdb", "postgres") {
			return filepath.Dir(real), nil
		}
	}
	for _, dir := range packagedBinDirs() {
		if hasPrograms(dir, "initdb", "postgres") {
			return dir, nil
		}
	}
	return "", ErrMissing
}

// FindClient gives the path of a client program such as psql or pg_dump: from the server's own directory when it is
// there, else from PATH, else from the newest packaged version.
func FindClient(binDir, name string) (string, error) {
	if binDir != "" && hasPrograms(binDir, name) {
		return filepath.Join(binDir, name), nil
	}
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range packagedBinDirs() {
		if hasPrograms(dir, name) {
			return filepath.Join(dir, name), nil
		}
	}
	return "", fmt.Errorf("%s not found: install postgresql-client", name)
}

// packagedBinDirs lists Debian's and the PostgreSQL project's package directories, newest version first.
func packagedBinDirs() []string {
	var dirs []string
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			continue
		}
		dirs = append(dirs, found...)
	}
	slices.SortStableFunc(dirs, func(a, b string) int { return dirVersion(b) - dirVersion(a) })
	return dirs
}

// dirVersion reads the number out of ".../15/bin" or ".../pgsql-15/bin".
func dirVersion(dir string) int {
	name := filepath.Base(filepath.Dir(dir))
	digits := len(name)
	for digits > 0 && name[digits-1] >= '0' && name[digits-1] <= '9' {
		digits--
	}
	n, err := strconv.Atoi(name[digits:])
	if err != nil {
		return 0
	}
	return n
}

func hasPrograms(dir string, names ...string) bool {
	for _, name := range names {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil || st.IsDir() || st.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}
