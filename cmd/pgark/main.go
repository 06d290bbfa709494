// Command pgark backs up and restores PostgreSQL, in parallel and at one consistent moment, and proves what it wrote.
//
// Every subcommand is one file: a struct of options with AddFlags, Validate and Run. Start reading at [newRoot]; the exit
// codes are in exit.go, what happens on Ctrl-C in signal.go. Nothing below this package knows a flag or a terminal.
package main

import (
	"os"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run runs the program once and returns its exit code.
func run(args []string, stdin, stdout, stderr *os.File) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr}
	ctx, stop := a.watchSignals()
	defer stop()
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	return a.report(ctx, err)
}
