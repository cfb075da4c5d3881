// Command earshot is the whole pipeline in one binary: the gateway that takes feedback, the workers that understand it,
// and, where no servers are given, the broker and the column store they stand between.
//
// One event passes through the command like this: [node] opens the servers, the log and the store in order, the gateway
// writes to the log, the workers read it and write to the store, and everything is closed in reverse. The subcommands
// are one file each and are listed in [commands]; none of them does what a package below it could do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/earshot/earshot/processors/worker"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Exit codes: done, failed, called wrongly.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// command is one subcommand.
type command struct {
	name    string
	args    string // of the usage line
	summary string // one line of at most 60 characters
	help    string // what a user needs beyond the flags, with an example
	flags   func(*flag.FlagSet) any
	run     func(ctx context.Context, env *environment, opts any, args []string) error
}

// environment is what a subcommand may know of the outside.
type environment struct {
	config Config
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer

	workerSeen func(*worker.Config) // may change what a worker is given; nil: nothing is changed. No command sets it
}

// usageError is a command called wrongly; it ends with exit code 2.
type usageError struct{ error }

// Unwrap returns what was wrong with the call.
func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errReported ends a command with exit code 1 when it has already said why.
var errReported = errors.New("reported")

func commands() []command {
	return []command{
		demoCommand(), upCommand(), ingestCommand(), processCommand(), migrateCommand(), publishCommand(),
		importCommand(), pollCommand(), keyCommand(), eraseCommand(), caseCommand(), customerCommand(), calendarCommand(), queryCommand(), alertCommand(),
		classifyCommand(), evaluateCommand(), trainCommand(), adaptCommand(), themesCommand(), reclassifyCommand(), reconcileCommand(),
		auditCommand(), restoredCommand(), dlqCommand(), benchCommand(), configCommand(),
		doctorCommand(), versionCommand(),
	}
}

// run is the program: it parses the command line, loads the configuration and turns an error into an exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	switch {
	case len(args) == 0:
		usage(stdout)
		return exitUsage
	case args[0] == "help" && len(args) > 1: // "help adapt" is "adapt --help"
		args = []string{args[1], "--help"}
	case args[0] == "-h" || args[0] == "--help" || args[0] == "help":
		usage(stdout)
		return exitOK
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return c.main(args[1:], stdin, stdout, stderr)
		}
	}
	fmt.Fprintf(stderr, "earshot: there is no command %q; 'earshot help' lists them\n", args[0])
	return exitUsage
}

func (c command) main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("earshot "+c.name, flag.ContinueOnError)
	fs.SetOutput(stderr)
	var opts any
	if c.flags != nil {
		opts = c.flags(fs)
	}
	fs.Usage = c.usage(fs)
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	}
	config, err := LoadConfig()
	if err != nil {
		fmt.Fprintf(stderr, "earshot: the configuration has faults:\n%v\n'earshot config -h' lists the variables\n", err)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	env := &environment{config: config, stdin: stdin, stdout: stdout, stderr: stderr}
	var wrong usageError
	switch err := c.run(ctx, env, opts, fs.Args()); {
	case err == nil, errors.Is(err, flag.ErrHelp): // help asked for after a word, and given
		return exitOK
	case errors.Is(err, errReported):
		return exitFailed
	case errors.As(err, &wrong):
		fmt.Fprintf(stderr, "earshot %s: %v\n", c.name, err)
		return exitUsage
	default:
		fmt.Fprintf(stderr, "earshot %s: %v\n", c.name, err)
		return exitFailed
	}
}

// usage explains the command where the flags in fs print.
func (c command) usage(fs *flag.FlagSet) func() {
	return func() {
		fmt.Fprintf(fs.Output(), "usage: earshot %s\n\n%s\n", strings.TrimSpace(c.name+" "+c.args), c.help)
		fs.PrintDefaults()
	}
}

func usage(w io.Writer) {
	fmt.Fprint(w, "earshot takes customer feedback in, understands it, and stores it exactly once.\n\nusage: earshot <command> [flags]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-10s %s\n", c.name, c.summary)
	}
	fmt.Fprint(w, "\n'earshot <command> -h' tells more. Start with 'earshot demo'.\n")
}

// nothingAfter refuses arguments that a command does not take.
func nothingAfter(args []string) error {
	if len(args) > 0 {
		return usagef("does not take %q", strings.Join(args, " "))
	}
	return nil
}
