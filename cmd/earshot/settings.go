package main

import (
	"context"
	"fmt"
	"strings"
)

func configCommand() command {
	return command{
		name: "config", summary: "print the effective configuration, secrets masked",
		help: configHelp(),
		run: func(_ context.Context, env *environment, _ any, args []string) error {
			if err := nothingAfter(args); err != nil {
				return err
			}
			for _, v := range env.config.variables() {
				from := "default"
				if env.config.set[v.Name] {
					from = "set"
				}
				fmt.Fprintf(env.stdout, "%-26s = %-28s # %s\n", v.Name, v.Value, from)
			}
			return nil
		},
	}
}

// configHelp lists the variables for 'earshot config -h'.
func configHelp() string {
	var b strings.Builder
	b.WriteString("Prints every variable with the value in force and where it comes from. The variables:\n")
	c := Config{}
	for _, v := range c.variables() {
		def := v.Default
		if def == "" {
			def = "empty"
		}
		fmt.Fprintf(&b, "  %s (default %s)\n      %s\n", v.Name, def, v.Doc)
	}
	b.WriteString("  CHDB_LIB_PATH\n      path of the ClickHouse engine library; empty: fetched once through npm\n")
	return b.String()
}
