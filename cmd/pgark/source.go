package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/pflag"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/archive/gpbackup"
	"github.com/pgark/pgark/archive/pgdump"
	"github.com/pgark/pgark/fanout"
)

// sourceOptions say how dumps of other programs are found.
type sourceOptions struct {
	timestamp string
	dirs      []string

	replicated, distributed []string

	set *setOptions // what is for archives of pgark only
}

func (o *sourceOptions) addFlags(f *pflag.FlagSet, set *setOptions) {
	o.set = set
	f.StringVar(&o.timestamp, "timestamp", "", "of several sets of gpbackup in a directory, take `YYYYMMDDHHMMSS`")
	f.StringArrayVar(&o.dirs, "backup-dir", nil, "another `directory` with files of a set of gpbackup, as of its segments; may be repeated")
	f.StringArrayVar(&o.replicated, "replicated", nil, "of an old set of gpbackup without definitions: every segment has all rows of this `table` (schema.table)")
	f.StringArrayVar(&o.distributed, "distributed", nil, "likewise: every segment has a part of the rows of this `table`")
}

func (o *sourceOptions) validate() error {
	if o.timestamp != "" && !regexp.MustCompile(`^[0-9]{14}$`).MatchString(o.timestamp) {
		return usagef("--timestamp %s: it is 14 digits, YYYYMMDDHHMMSS", quoteArg(o.timestamp))
	}
	return nil
}

// kinds of what a path leads to
const (
	kindPgark    = "pgark"
	kindStock    = "pg_dump"            // custom, directory or tar
	kindPacked   = "compressed pg_dump" // custom or tar, compressed as a whole
	kindPlain    = "plain"
	kindDumpall  = "pg_dumpall"
	kindGpbackup = "gpbackup"
)

// open opens a dump of another program. It returns nil for what is none: an archive of pgark, maybe a damaged one.
func (o *sourceOptions) open(ctx context.Context, path string, through func(*os.File) io.ReaderAt) (archive.Source, error) {
	kind, err := kindOf(path)
	if err != nil {
		return nil, err
	}
	if kind == kindDumpall {
		return o.openPart(ctx, path)
	}
	if kind != kindPgark && o.set.database != "" {
		return nil, usagef("--database is for archives of pgark and scripts of pg_dumpall, which hold several databases, and %s is none", quoteArg(path))
	}
	var src archive.Source
	switch kind {
	case kindStock:
		src, err = opened(pgdump.Open(path, pgdump.OpenOptions{Through: through}))
	case kindPacked:
		src, err = opened(pgdump.OpenPacked(ctx, path))
	case kindGpbackup:
		src, err = opened(gpbackup.Open(path, gpbackup.Options{
			Timestamp: o.timestamp, Dirs: o.dirs, Replicated: o.replicated, Distributed: o.distributed,
		}))
	case kindPlain:
		src, err = opened(pgdump.OpenScript(ctx, path))
	default:
		if o.timestamp != "" || len(o.dirs)+len(o.replicated)+len(o.distributed) > 0 {
			return nil, usagef("--timestamp, --backup-dir, --replicated and --distributed are for sets of gpbackup, and %s is none", quoteArg(path))
		}
		return nil, nil
	}
	if err == nil {
		src, err = fanout.WithFloats(src)
	}
	if err != nil {
		return nil, pathError(path, err)
	}
	return src, nil
}

// opened keeps a nil pointer of a concrete type from becoming a source that is not nil.
func opened[S archive.Source](s S, err error) (archive.Source, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

// kindOf looks what a path leads to, by the first bytes of a file and the names in a directory.
func kindOf(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.IsDir() {
		if _, err := os.Stat(filepath.Join(path, "toc.dat")); err == nil {
			return kindStock, nil
		}
		if gpbackup.IsSet(path) {
			return kindGpbackup, nil
		}
		return "", fmt.Errorf("%s is a directory, and neither a dump of pg_dump (it has no toc.dat) nor a set of gpbackup", path)
	}
	if info.Mode()&(os.ModeNamedPipe|os.ModeSocket|os.ModeCharDevice) != 0 {
		return "", withHint(fmt.Errorf("%s is no file: an archive is read from its end, and at random", path), "save it to a file first")
	}
	if gpbackup.IsSet(path) {
		return kindGpbackup, nil
	}
	head, codec, err := pgdump.Peek(path)
	switch {
	case codec != "" && err == nil && pgdump.IsArchive(head):
		return kindPacked, nil
	case err == nil && pgdump.IsClusterScript(head):
		return kindDumpall, nil
	case codec != "":
		return kindPlain, nil // which says what is wrong with one that can't be decompressed
	case err != nil:
		return "", err
	case pgdump.IsArchive(head):
		return kindStock, nil
	case pgdump.IsPlain(head), pgdump.IsForeign(head), len(head) > 0 && strings.HasSuffix(path, ".sql"):
		return kindPlain, nil // which says of one that is not read what to do
	}
	return kindPgark, nil
}

// refuseSource refuses a dump of another program for a command that is for archives of pgark only.
func refuseSource(path, what string) error {
	kind, err := kindOf(path)
	if err != nil || kind == kindPgark {
		return err
	}
	return withHint(&usageError{message: fmt.Sprintf("%s: %s is for archives of pgark, and this is a dump of %s", path, what,
		map[string]string{kindGpbackup: "gpbackup"}[kind]+map[bool]string{true: "pg_dump"}[kind != kindGpbackup])},
		"`pgark convert` makes one of it")
}
