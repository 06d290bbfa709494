package main

import (
	"io"
	"strings"

	"github.com/spf13/cobra"
)

const rootLong = `pgark backs up and restores PostgreSQL: in parallel, at one consistent moment, into one indexed archive in
which every byte is checksummed and every table carries a digest of its rows.

  pgark dump shop                       write shop-20260102T030405Z.pgark
  pgark list shop-….pgark               what is in it
  pgark verify shop-….pgark             read all of it and prove it whole
  pgark verify -d shop shop-….pgark     compare it with a live database
  pgark restore -d copy shop-….pgark    load it, over several sessions

Connections are as with psql: -h -p -U -w -W, PGHOST and its like, .pgpass, service files, URIs.
Results go to standard output, everything else to standard error.`

// helpTemplate is cobra's, with the table of exit codes at the end.
const helpTemplate = `{{with or .Long .Short}}{{. | trimTrailingWhitespaces}}

{{end}}{{if or .Runnable .HasSubCommands}}{{.UsageString}}{{end}}{{with index .Annotations "exit"}}
{{.}}
{{end}}`

// newRoot builds the whole command line.
func newRoot(a *app) *cobra.Command {
	showVersion := false
	root := &cobra.Command{
		Use:           "pgark",
		Short:         "parallel, consistent, provable backup and restore for PostgreSQL",
		Long:          rootLong,
		Annotations:   exitCodes("found something: damage, a difference, or objects that could not be restored"),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if showVersion {
				return (&versionOptions{}).run(a.stdout)
			}
			cmd.SetOut(a.stderr)
			_ = cmd.Usage()
			return usagef("a command is missing")
		},
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.validate() },
	}
	pf := root.PersistentFlags()
	pf.CountVarP(&a.verbose, "verbose", "v", "say more; twice: even more")
	pf.BoolVarP(&a.quiet, "quiet", "q", false, "say nothing but errors")
	pf.StringVar(&a.progress, "progress", "auto", "`how` to show progress: auto, bar, plain, none")
	// -h is the host, as in every PostgreSQL client; -? is help, as there.
	pf.BoolP("help", "?", false, "show this help")
	root.Flags().BoolVarP(&showVersion, "version", "V", false, "print version, commit, Go version and codecs")
	root.SetHelpTemplate(helpTemplate)
	root.SetUsageFunc(plainUsage(root.UsageFunc()))
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{message: err.Error(), hint: "see `" + cmd.CommandPath() + " --help`"}
	})
	root.AddCommand(newDump(a), newRestore(a), newList(a), newInspect(a), newCat(a), newVerify(a), newSalvage(a), newDiff(a), newConvert(a), newGather(a), newScatter(a),
		newTopology(a), newWorker(a), newDemo(a), newVersion(a))
	root.SetHelpCommand(newHelp(root))
	for _, later := range []struct{ use, short string }{
		{"proxy", "serve clients and fan their COPY out (not in this version)"},
	} {
		root.AddCommand(newLater(later.use, later.short))
	}
	return root
}

// plainUsage leaves out what pflag says of switches, "[=true|false]": in PostgreSQL's world they have no value.
func plainUsage(usage func(*cobra.Command) error) func(*cobra.Command) error {
	return func(cmd *cobra.Command) error {
		const noise = "[=true|false]"
		out := cmd.OutOrStderr()
		var b strings.Builder
		cmd.SetOut(&b)
		err := usage(cmd)
		cmd.SetOut(out)
		if err != nil {
			return err
		}
		_, err = io.WriteString(out, strings.ReplaceAll(b.String(), noise, strings.Repeat(" ", len(noise))))
		return err
	}
}

// newLater is a command that is promised and not there yet. It refuses instead of being unknown.
func newLater(use, short string) *cobra.Command {
	cmd := &cobra.Command{
		Use:                use,
		Short:              short,
		DisableFlagParsing: true,
		Hidden:             true,
	}
	cmd.RunE = func(*cobra.Command, []string) error { return notYet("`pgark " + cmd.Name() + "`") }
	return cmd
}

// newHelp is `pgark help CMD`. Unlike cobra's own it fails where there is no such command.
func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "show the help of a command",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, _, err := root.Find(args)
			if err != nil {
				return usagef("%v", err)
			}
			if cmd == root {
				if err := knownCommand(root, args); err != nil {
					return err
				}
			}
			return cmd.Help()
		},
	}
}

// knownCommand refuses a command that there is not, and names the nearest one.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	e := &usageError{message: "unknown command " + quoteArg(args[0]), hint: "`pgark help` lists the commands"}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		e.hint = "did you mean `pgark " + near[0] + "`?"
	}
	return e
}

// validate checks the flags that all commands share.
func (a *app) validate() error {
	if a.quiet && a.verbose > 0 {
		return usagef("-q/--quiet and -v/--verbose cannot be used together")
	}
	switch a.progress {
	case "auto", "bar", "plain", "none":
		return nil
	}
	return usagef("--progress=%s: must be auto, bar, plain or none", a.progress)
}
