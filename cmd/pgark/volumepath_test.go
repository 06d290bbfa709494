package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgark/pgark/archive"
)

// No name leads out of the directory, hides the file, or means anything to a shell.
func TestVolumePath(t *testing.T) {
	for name, want := range map[string]string{
		"seg0": "seg0", "..": "%2E.", "../../etc/passwd": "%2E.%2F..%2Fetc%2Fpasswd", "/abs": "%2Fabs", "": "_", "a b": "a%20b", "-rf": "%2Drf",
		"x;rm": "x%3Brm", "$(id)": "%24%28id%29", "a\nb": "a%0Ab", "it's": "it%27s", "größe": "größe", "\xff": "%FF", ".": "%2E", "a.b-c": "a.b-c",
		"%2F": "%252F", "a\x00b": "a%00b", "~": "%7E", "\\": "%5C", "{host}": "%7Bhost%7D",
	} {
		got := volumePath("dir/{node}").expand(archive.Node{Name: name, Host: "h"}, "lead.pgark")
		if got != "dir/"+want || filepath.Dir(filepath.Clean(got)) != "dir" {
			t.Errorf("%q: %q, not %q", name, got, want)
		}
	}
	n := archive.Node{Name: "seg1", Host: "sdw2", Content: 1}
	if got := volumePath("/d/{archive}-{host}/{content}.{node}").expand(n, "/x/shop.pgark"); got != "/d/shop-sdw2/1.seg1" {
		t.Error(got)
	}
}

func TestVolumePathRefuses(t *testing.T) {
	for _, p := range []volumePath{"", "dir/", "dir/{x}", "{}", "{NODE}"} {
		if p.validate() == nil {
			t.Errorf("%q", p)
		}
	}
	nodes := []archive.Node{{Name: "a", Host: "h"}, {Name: "b", Host: "h"}}
	if _, err := volumePath("d/{host}").expandAll(nodes, "l"); err == nil || !strings.Contains(err.Error(), `"b"`) {
		t.Error(err)
	}
	if _, err := volumePath("./l").expandAll(nodes[:1], "l"); err == nil {
		t.Error("a volume in the place of the lead volume")
	}
}
