package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/earshot/earshot/processors/alerts"
	"github.com/earshot/earshot/sinks/delivery"
)

// alertAction is one of the things 'earshot alert' does.
type alertAction struct {
	name, args, summary string
	run                 func(ctx context.Context, env *environment, args []string) error
}

func alertActions() []alertAction {
	return []alertAction{
		{"check", "[--print] [FILE]", "find every fault of a file of rules, and of EARSHOT_ALERT_RECEIVERS", runAlertCheck},
		{"simulate", "--rule NAME [--from T] [--to T]", "replay history: when a rule would have fired", runAlertSimulate},
		{"list", "[--all]", "show open alerts and mutes", runAlertList},
		{"ack", "ID", "say that you look after an alert", runAlertAck},
		{"mute", "NAME=VALUE… [--for D]", "keep alerts from being delivered for a while", runAlertMute},
	}
}

func alertCommand() command {
	var help strings.Builder
	help.WriteString("Looks after alerts. What it does is named first:\n")
	for _, a := range alertActions() {
		fmt.Fprintf(&help, "  %-46s %s\n", "earshot alert "+strings.TrimSpace(a.name+" "+a.args), a.summary)
	}
	help.WriteString("Example: earshot alert check rules.yaml")
	return command{
		name: "alert", args: "check|…", summary: "check rules, list and mute alerts, replay history",
		help: help.String(),
		run: func(ctx context.Context, env *environment, _ any, args []string) error {
			if len(args) == 0 {
				return usagef("wants to know what to do; 'earshot alert -h' lists it")
			}
			for _, a := range alertActions() {
				if a.name == args[0] {
					return a.run(ctx, env, args[1:])
				}
			}
			return usagef("cannot %q; 'earshot alert -h' lists what it can", args[0])
		},
	}
}

// alertFlags parses the flags of one action, which may stand before and after its arguments, and returns the arguments.
func alertFlags(env *environment, fs *flag.FlagSet, args []string) ([]string, error) {
	fs.SetOutput(env.stderr)
	var rest []string
	for {
		switch err := fs.Parse(args); {
		case errors.Is(err, flag.ErrHelp):
			return nil, err // which says it all by itself
		case err != nil:
			return nil, usageError{err}
		}
		if fs.NArg() == 0 {
			return rest, nil
		}
		rest = append(rest, fs.Arg(0))
		args = fs.Args()[1:]
	}
}

func runAlertCheck(_ context.Context, env *environment, args []string) error {
	fs := flag.NewFlagSet("earshot alert check", flag.ContinueOnError)
	show := fs.Bool("print", false, "print the rules")
	args, err := alertFlags(env, fs, args)
	if err != nil {
		return err
	}
	file := env.config.AlertRules
	switch len(args) {
	case 0:
	case 1:
		file = args[0]
	default:
		return usagef("takes one file")
	}
	name, text, err := ruleText(file)
	if err != nil {
		return err
	}
	rules, err := alerts.ParseRules(name, text)
	var receivers []delivery.Receiver
	var fault error
	if env.config.AlertReceivers != "" {
		receivers, fault = delivery.Load(env.config.AlertReceivers)
	}
	if err = errors.Join(err, fault); err != nil {
		fmt.Fprintln(env.stderr, err)
		return errReported
	}
	if *show {
		_, err := env.stdout.Write(text)
		return err
	}
	fmt.Fprintf(env.stdout, "%s: %d rules, no faults\n", name, len(rules))
	if env.config.AlertReceivers != "" {
		fmt.Fprintf(env.stdout, "%s: %d receivers, no faults\n", env.config.AlertReceivers, len(receivers))
	}
	return nil
}

// ruleText reads a file of rules; the shipped ones where none is named.
func ruleText(file string) (name string, text []byte, err error) {
	if file == "" || file == alertsOff {
		return "the shipped rules", alerts.ShippedRules(), nil
	}
	text, err = os.ReadFile(file)
	if err != nil {
		return "", nil, fmt.Errorf("read the rules: %w; set EARSHOT_ALERT_RULES to a file that is there", err)
	}
	return file, text, nil
}
