package gpbackup

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Limits of the files in YAML, which are read as a whole; decoded they take several times as much memory. A table of contents has some
// 200 bytes for each object.
const (
	maxConfig = 64 << 20
	maxTOC    = 1 << 30
)

// config is gpbackup_<timestamp>_config.yaml, as far as it matters here. Versions differ in what they write: what is missing is
// the zero value, what is unknown is passed over.
type config struct {
	BackupVersion   string `yaml:"backupversion"`
	Compressed      bool   `yaml:"compressed"`
	CompressionType string `yaml:"compressiontype"`
	Database        string `yaml:"databasename"`
	ServerVersion   string `yaml:"databaseversion"`
	Segments        int    `yaml:"segmentcount"`
	DataOnly        bool   `yaml:"dataonly"`
	Deleted         string `yaml:"datedeleted"`
	Incremental     bool   `yaml:"incremental"`
	LeafData        bool   `yaml:"leafpartitiondata"`
	MetadataOnly    bool   `yaml:"metadataonly"`
	Plugin          string `yaml:"plugin"`
	SingleFile      bool   `yaml:"singledatafile"`
	Timestamp       string `yaml:"timestamp"`
	EndTime         string `yaml:"endtime"`
	Status          string `yaml:"status"`

	IncludeSchemas   []string `yaml:"includeschemas"`
	ExcludeSchemas   []string `yaml:"excludeschemas"`
	IncludeRelations []string `yaml:"includerelations"`
	ExcludeRelations []string `yaml:"excluderelations"`

	RestorePlan []planStep `yaml:"restoreplan"`
}

// planStep says of which backup the rows of some tables are.
type planStep struct {
	Timestamp string   `yaml:"timestamp"`
	Tables    []string `yaml:"tablefqns"`
}

// toc is gpbackup_<timestamp>_toc.yaml.
type toc struct {
	Global     []metaEntry `yaml:"globalentries"`
	PreData    []metaEntry `yaml:"predataentries"`
	PostData   []metaEntry `yaml:"postdataentries"`
	Statistics []metaEntry `yaml:"statisticsentries"`
	Data       []dataEntry `yaml:"dataentries"`

	cut bool // it ends before what every version writes at its end
}

// metaEntry is a piece of metadata.sql.
type metaEntry struct {
	Schema    string `yaml:"schema"` // quoted where SQL needs it, as all names
	Name      string `yaml:"name"`
	Type      string `yaml:"objecttype"`
	Reference string `yaml:"referenceobject"`
	Start     int64  `yaml:"startbyte"`
	End       int64  `yaml:"endbyte"`
}

// dataEntry is a table whose rows were backed up.
type dataEntry struct {
	Schema     string  `yaml:"schema"`
	Name       string  `yaml:"name"`
	OID        uint32  `yaml:"oid"`
	Attributes string  `yaml:"attributestring"` // (a,"B c"); empty for a partition, and without columns
	Rows       *int64  `yaml:"rowscopied"`      // of all segments together, also where each has all of them; nil if it is not told
	Root       *string `yaml:"partitionroot"`   // of a partition: the table, without its schema; nil in old sets
	Replicated *bool   `yaml:"isreplicated"`    // nil before gpbackup 1.27; true also if a column is named so that it distributes by
}

func (d *dataEntry) fqn() string { return d.Schema + "." + d.Name }

// root is the table that this is a partition of, without its schema; "" for other tables.
func (d *dataEntry) root() string {
	if d.Root == nil {
		return ""
	}
	return *d.Root
}

// segmentTOC is gpbackup_<content>_<timestamp>_toc.yaml, which says where in a segment's single file the tables are.
type segmentTOC struct {
	Data map[uint32]segmentSpan `yaml:"dataentries"`
	end  int64                  // where the last table ends
}

// check looks whether each table has a place of its own.
func (t *segmentTOC) check() error {
	oids := slices.SortedFunc(maps.Keys(t.Data), func(a, b uint32) int {
		x, y := t.Data[a], t.Data[b]
		return cmp.Or(cmp.Compare(x.Start, y.Start), cmp.Compare(x.End, y.End), cmp.Compare(a, b))
	})
	for _, oid := range oids {
		span := t.Data[oid]
		if span.Start < t.end || span.End < span.Start {
			return fmt.Errorf("%w: the rows of table %d are said to be at bytes %d to %d, where those before end at %d",
				ErrDamaged, oid, span.Start, span.End, t.end)
		}
		t.end = span.End
	}
	return nil
}

type segmentSpan struct {
	Start int64 `yaml:"startbyte"`
	End   int64 `yaml:"endbyte"`
}

// readYAML decodes a file of limited size. The decoder refuses documents that grow by their aliases.
func readYAML(path string, limit int64, into any) error {
	b, err := readLimited(path, limit)
	if err != nil {
		return err
	}
	return parseYAML(path, b, into)
}

func parseYAML(path string, b []byte, into any) (err error) {
	defer func() {
		if r := recover(); r != nil { // the decoder is known to panic on some documents
			err = fmt.Errorf("%w: %s: %v", ErrDamaged, path, r)
		}
	}()
	if err := yaml.Unmarshal(b, into); err != nil {
		var types *yaml.TypeError
		if errors.As(err, &types) {
			return fmt.Errorf("%w: %s: %w", ErrDamaged, path, types)
		}
		return fmt.Errorf("%w: %s: %w", ErrDamaged, path, err)
	}
	return nil
}

func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%w: %s is larger than %d MiB", ErrDamaged, path, limit>>20)
	}
	return b, nil
}
