package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgark/pgark/fanout/topology"
)

func TestParseNode(t *testing.T) {
	for in, want := range map[string]topology.Address{
		"seg1=10.0.0.7:6001": {Host: "10.0.0.7", Port: 6001}, "a=db": {Host: "db"}, "a=:6001": {Port: 6001},
		"a=[fe80::1]:6001": {Host: "fe80::1", Port: 6001}, "a=[fe80::1]": {Host: "fe80::1"},
	} {
		name, got, err := parseNode(in)
		if err != nil || got != want || name+"=" != in[:strings.IndexByte(in, '=')+1] {
			t.Errorf("%s: %s %+v %v", in, name, got, err)
		}
	}
	for _, in := range []string{"", "seg1", "seg1=", "=h:1", "a b=h:1", "a=h:0", "a=h:x", "a=h:65536", "a=fe80::1"} {
		if name, got, err := parseNode(in); err == nil {
			t.Errorf("%q: %s %+v, no error", in, name, got)
		}
	}
}

func TestDataNodes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "nodes")
	write := func(mode os.FileMode, text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
	}
	const secret = "# a comment\n\n  b \t host=db2 password=hidden \nc postgresql://u:hidden@db3/x\n"
	write(0o600, secret)
	o := nodeOptions{dataNodes: []string{"a=host=db1 port=5433"}, file: file}
	if err := o.validate(); err != nil {
		t.Fatal(err)
	}
	if len(o.list) != 3 || o.list[0].Conninfo != "host=db1 port=5433" || o.list[1].Name != "b" || o.list[1].Conninfo != "host=db2 password=hidden" {
		t.Errorf("%+v", o.list)
	}
	refused := func(o nodeOptions, want string) {
		t.Helper()
		err := o.validate()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%v, not %q", err, want)
		}
	}
	write(0o640, secret)
	refused(nodeOptions{file: file}, "others may read it (mode 0640)")
	write(0o644, "b host=db2\n") // no password, nothing to hide
	if err := (&nodeOptions{file: file}).validate(); err != nil {
		t.Error(err)
	}
	write(0o600, "\nb\n")
	refused(nodeOptions{file: file}, "line 2")
	write(0o600, "# nothing\n")
	refused(nodeOptions{file: file}, "no node")
	refused(nodeOptions{file: file + "x"}, "no such file")
	refused(nodeOptions{dataNodes: []string{"a=host=db1 password=hidden"}}, "can be seen by everybody")
	refused(nodeOptions{dataNodes: []string{"a=postgres://u:hidden@h/d"}}, "can be seen by everybody")
	refused(nodeOptions{dataNodes: []string{"hidden"}}, "must be NAME=CONNINFO")
	refused(nodeOptions{dataNodes: []string{"a=port=x"}}, "--data-node a")
	refused(nodeOptions{addresses: []string{"a=h:1", "a=h:2"}}, "given twice")
}
