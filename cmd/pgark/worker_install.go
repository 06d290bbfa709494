package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgark/pgark/fanout"
)

// installOptions are the flags of `pgark worker install`.
type installOptions struct {
	app     *app
	starter starterOptions
	hosts   []string
}

const installLong = `Put this program on hosts, so that workers can run there: it is copied over ssh, or what --rsh says, to PATH (default: where
this program is here), tried out, and gets its name only if it runs and says that it is this version. A host on which that
fails keeps what it had, and is named.`

func newWorkerInstall(a *app) *cobra.Command {
	o := &installOptions{app: a}
	cmd := &cobra.Command{
		Use:         "install --hosts HOST,HOST,…",
		Short:       "put this program on hosts",
		Long:        installLong,
		Example:     "  pgark worker install --hosts sdw1,sdw2,sdw3 --worker /usr/local/bin/pgark",
		Annotations: exitCodes(""),
		Args:        args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			return o.Run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.hosts, "hosts", nil, "the `hosts`, separated by commas; may be repeated")
	f.StringVar(&o.starter.worker, "worker", "", "absolute `path` of pgark on the hosts (default: this program's)")
	o.starter.addRsh(f)
	return cmd
}

func (o *installOptions) validate() error {
	if len(o.hosts) == 0 {
		return usagef("--hosts is missing: the hosts to put pgark on")
	}
	for _, h := range o.hosts {
		if strings.TrimSpace(h) == "" {
			return usagef("--hosts: a name is missing between the commas")
		}
	}
	if w := o.starter.worker; w != "" && (!filepath.IsAbs(w) || strings.HasSuffix(w, "/")) {
		return usagef("--worker %s: must be the absolute path of a file: it is for other hosts", quoteArg(w))
	}
	return o.starter.validateRsh()
}

// installTimeout is how long a host may take: a slow line needs minutes for some 20 MB.
const installTimeout = 10 * time.Minute

// Run copies the program to all hosts at once.
func (o *installOptions) Run(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	path, err := o.starter.program()
	if err != nil {
		return err
	}
	errs := make([]error, len(o.hosts))
	var all sync.WaitGroup
	for i, host := range o.hosts {
		all.Go(func() {
			if errs[i] = o.install(ctx, host, self, path); errs[i] != nil {
				errs[i] = fmt.Errorf("host %s: %w", visible(host), errs[i])
			}
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	done := 0
	for i, err := range errs {
		if err == nil {
			done++
			o.app.tell("host %s: %s is at %s", visible(o.hosts[i]), toolName, visible(path))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return &stateError{err: err, state: fmt.Sprintf("installed on %d of %s", done, plural(uint64(len(o.hosts)), "host"))}
	}
	return nil
}

// install copies the program to one host.
func (o *installOptions) install(ctx context.Context, host, self, path string) error {
	ctx, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()
	f, err := os.Open(self)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	argv, err := o.starter.shell(host, installScript(path, info.Size()))
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = f, &stdout, &stderr
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		if said := strings.TrimSpace(stderr.String()); said != "" {
			err = fmt.Errorf("%w: %s", err, visible(said))
		}
		return err
	}
	var line fanout.WorkerLine
	if err := json.Unmarshal(bytes.TrimSpace(stdout.Bytes()), &line); err != nil || line.Hello == nil {
		return fmt.Errorf("what was installed answers %.80q", stdout.String())
	}
	if line.Hello.Tool != toolName {
		return fmt.Errorf("what was installed says that it is %.80q", line.Hello.Tool)
	}
	return nil
}

// installScript writes standard input to a file in a directory of its own beside path, and moves it there when it is complete and
// runs. Whatever happens, the directory does not stay.
func installScript(path string, size int64) string {
	dir, base := filepath.Dir(path), filepath.Base(path)
	return fmt.Sprintf(`set -e; mkdir -p %s; d=%s$$; mkdir "$d"; trap 'rm -rf "$d"' EXIT; trap 'exit 1' HUP INT TERM; p=$d/%s; cat > "$p"; `+
		`[ "$(wc -c < "$p")" -eq %d ] || { echo "only a part of it arrived" >&2; exit 1; }; chmod 755 "$p"; "$p" worker --hello < /dev/null; mv -f "$p" %s`,
		fanout.ShellWord(dir), fanout.ShellWord(filepath.Join(dir, "."+base+".partial-")), fanout.ShellWord(base), size, fanout.ShellWord(path))
}
