package pgdump

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pgark/pgark/archive"
)

// maxGlobalsText bounds what a script says of roles, tablespaces and whatever else is of the whole server.
const maxGlobalsText = 256 << 20

// maxMadeText bounds what it says of one database outside of that one's part: how it is made, and who has rights on it.
const maxMadeText = 16 << 20

// ClusterScript is a script of pg_dumpall, or what pgark writes like it: statements on roles and tablespaces, then a script of pg_dump for
// each database. It was read once, as a [Script] is. All methods but Close may be called from several goroutines at once.
type ClusterScript struct {
	f        *sourceFile
	globals  string
	encoding string
	list     []archive.ClusterDatabase
	parts    map[string]*Script
}

// IsClusterScript tells from the first few KiB of a file whether it is a script of pg_dumpall.
func IsClusterScript(head []byte) bool { return readHead(head).cluster }

// OpenClusterScript opens a script of pg_dumpall, also one that was compressed as a whole; see [OpenScript] for how it is read, and for the
// errors.
func OpenClusterScript(ctx context.Context, path string) (*ClusterScript, error) {
	f, err := openSourceFile(ctx, path)
	if err != nil {
		return nil, err
	}
	c, err := readClusterScript(ctx, f, f.size)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	c.f = f
	if f.codec != "" {
		for _, s := range c.parts {
			s.unpacked(f)
		}
	}
	return c, nil
}

// Close closes the file.
func (c *ClusterScript) Close() error {
	if c.f == nil {
		return nil
	}
	return c.f.Close()
}

// Size is the length of the script, in bytes, when it is not compressed.
func (c *ClusterScript) Size() int64 { return c.f.size }

// Globals are the statements on what the databases share, as they stand in the script, without those that drop something.
func (c *ClusterScript) Globals() string { return c.globals }

// Encoding is that of the globals, and of the databases' names.
func (c *ClusterScript) Encoding() string { return c.encoding }

// Databases lists the databases in the order of the script. Places are those of their parts; a script tells no numbers of rows.
func (c *ClusterScript) Databases() []archive.ClusterDatabase { return c.list }

// Find finds a database. The error wraps [archive.ErrNoDatabase].
func (c *ClusterScript) Find(name string) (*archive.ClusterDatabase, error) {
	var names []string
	for i := range c.list {
		if c.list[i].Name == name {
			return &c.list[i], nil
		}
		names = append(names, sanitized(c.list[i].Name))
	}
	return nil, fmt.Errorf("%w: %s; it has %s", archive.ErrNoDatabase, sanitized(name), strings.Join(names, ", "))
}

// Part is the script of one database. Closing it does nothing: the file is the cluster script's.
func (c *ClusterScript) Part(name string) (*Script, error) {
	if _, err := c.Find(name); err != nil {
		return nil, err
	}
	return c.parts[name], nil
}
