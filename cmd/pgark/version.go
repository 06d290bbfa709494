package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/pgark/pgark/archive"
)

// version is pgark's own. Archives record it as the tool that wrote them.
const version = "0.1.0"

// toolName is what archives record.
const toolName = "pgark " + version

// buildCommit is the commit that the program was built from, as the Go tool recorded it.
func buildCommit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	commit, dirty := "unknown", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			commit = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "+changes"
			}
		}
	}
	return commit + dirty
}

// versionOptions are those of `pgark version` and `pgark --version`.
type versionOptions struct{ json bool }

func newVersion(a *app) *cobra.Command {
	o := &versionOptions{}
	cmd := &cobra.Command{
		Use:   "version",
		Short: "print pgark's version, commit, Go version and codecs",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			return o.run(a.stdout)
		},
	}
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

func (o *versionOptions) run(w io.Writer) error {
	if o.json {
		return writeJSON(w, struct {
			Version  string   `json:"version"`
			Commit   string   `json:"commit"`
			Go       string   `json:"go"`
			Platform string   `json:"platform"`
			Codecs   []string `json:"codecs"`
		}{version, buildCommit(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, archive.CodecBackends()})
	}
	out := &errWriter{w: w}
	fmt.Fprintf(out, "pgark %s\n", version)
	fmt.Fprintf(out, "commit: %s\n", buildCommit())
	fmt.Fprintf(out, "go: %s %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, c := range archive.CodecBackends() {
		fmt.Fprintf(out, "codec: %s\n", c)
	}
	return out.err
}
