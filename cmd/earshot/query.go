package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	earshotsql "github.com/earshot/earshot/schemas/sql"
)

type queryOptions struct {
	format string
	name   string
	list   bool
	exact  bool           // CSV as it is
	maxAge *time.Duration // of the answers of named queries; nil: as configured
	params paramFlags
}

// paramFlags collects --param name=value.
type paramFlags map[string]string

// String is part of flag.Value.
func (p paramFlags) String() string { return "" }

// Set takes one name=value.
func (p paramFlags) Set(s string) error {
	name, value, ok := strings.Cut(s, "=")
	if !ok || name == "" {
		return fmt.Errorf("want name=value, got %q", s)
	}
	p[name] = value
	return nil
}

func queryCommand() command {
	return command{
		name: "query", args: `["SELECT …"]`, summary: "ask ClickHouse, in SQL or by a query's name",
		help: "Runs SQL, or one of the named queries (--list), and prints the answer in any ClickHouse format. In CSV, a text that a\nspreadsheet would run as a formula gets an apostrophe before it; not with --literal.\nExamples:\n  earshot query \"SELECT channel, count() FROM feedback_current GROUP BY channel\"\n  earshot query --name worst_themes --tenant demo\n  earshot query --name csat --tenant demo --by week",
		flags: func(fs *flag.FlagSet) any {
			o := &queryOptions{params: paramFlags{}}
			fs.StringVar(&o.format, "format", "PrettyCompact", "ClickHouse output `format`, such as JSONEachRow, CSVWithNames or TSV")
			fs.StringVar(&o.name, "name", "", "run the named query `NAME` instead of SQL")
			fs.Func("max-age", "answers of named queries may be up to this `AGE` old, such as 10m; default EARSHOT_QUERY_MAX_AGE", func(v string) error {
				age, err := time.ParseDuration(v)
				if err == nil && age < 0 {
					err = fmt.Errorf("an age is not negative")
				}
				o.maxAge = &age
				return err
			})
			fs.BoolVar(&o.list, "list", false, "list the named queries with their parameters")
			fs.BoolVar(&o.exact, "literal", false, "in CSV, write texts that begin like formulas as they are")
			fs.Var(o.params, "param", "`name=value` of a query parameter; may be repeated")
			fs.Func("by", "short for --param by=`PERIOD`: minute, hour, day, week, month or all", func(v string) error { o.params["by"] = v; return nil })
			fs.Func("tenant", "short for --param tenant=`T`", func(v string) error { o.params["tenant"] = v; return nil })
			return o
		},
		run: func(ctx context.Context, env *environment, opts any, args []string) error {
			return runQuery(ctx, env, opts.(*queryOptions), args)
		},
	}
}

func runQuery(ctx context.Context, env *environment, o *queryOptions, args []string) (err error) {
	if o.list {
		return listQueries(env.stdout)
	}
	if o.maxAge == nil {
		o.maxAge = &env.config.QueryMaxAge
	} else if o.name == "" {
		return usagef("--max-age is for named queries: SQL reads what it names")
	}
	var text string
	var named earshotsql.Query
	switch {
	case o.name != "" && len(args) == 0:
		if named, err = earshotsql.Find(o.name); err != nil {
			return usageError{err}
		}
		if err := named.Check(o.params); err != nil { // before a server is started for it
			return usagef("query %s: %w; 'earshot query --list' shows what it takes", o.name, err)
		}
	case o.name == "" && len(args) == 1:
		text = args[0]
		// Flags after the SQL are taken too, as in: earshot query "SELECT 1" --format CSV
	case o.name == "" && len(args) > 1:
		rest := flag.NewFlagSet("earshot query", flag.ContinueOnError)
		rest.SetOutput(env.stderr)
		rest.StringVar(&o.format, "format", o.format, "")
		rest.BoolVar(&o.exact, "literal", o.exact, "")
		rest.Var(o.params, "param", "")
		if err := rest.Parse(args[1:]); errors.Is(err, flag.ErrHelp) {
			return err
		} else if err != nil || rest.NArg() > 0 {
			return usagef("takes one statement; quote it as one argument")
		}
		text = args[0]
	default:
		return usagef("takes one statement, or --name; 'earshot query --list' lists the named queries")
	}
	var opened closers
	defer func() { err = opened.closeAfter(err) }()
	store, _, err := locateStore(ctx, env, newLogger(&env.config, env.stderr).Level(warnLevel), &opened)
	if err != nil {
		return err
	}
	out := env.stdout
	if strings.HasPrefix(strings.ToUpper(o.format), "CSV") && !o.exact {
		out = &unformula{w: out}
	}
	if named.Name != "" {
		answer, err := store.NamedWithin(ctx, named, o.params, *o.maxAge, o.format, out)
		if err == nil && !answer.AsOf.IsZero() {
			fmt.Fprintf(env.stderr, "As of %s UTC; --max-age 0s asks of now.\n", answer.AsOf.UTC().Format(time.DateTime))
		}
		return err
	}
	return store.Query(ctx, text, o.params, o.format, out)
}

func listQueries(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, q := range earshotsql.Queries() {
		fmt.Fprintf(t, "%s\t%s\n", q.Name, q.Doc)
		for _, p := range q.Params {
			fmt.Fprintf(t, "\t  %s %s, default %q: %s\n", p.Name, p.Type, p.Default, p.Doc)
		}
	}
	return t.Flush()
}
