package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/earshot/earshot/processors/privacy"
	"github.com/earshot/earshot/sinks/clickhouse"
)

type customerOptions struct{ tenant, format string }

func customerCommand() command {
	return command{
		name: "customer", args: "CUSTOMER --tenant T", summary: "one customer's whole story",
		help: `Prints everything of one customer in order: what was said and how it was understood, the cases, the answers, the decisions,
the ratings. CUSTOMER is the customer as the source knows them, which is hashed with the secret of the data folder as the
worker does, or a customer key of 32 hex digits as the tables have it.
Example: earshot customer ann@example.com --tenant acme`,
		flags: func(fs *flag.FlagSet) any {
			o := &customerOptions{}
			fs.StringVar(&o.tenant, "tenant", "default", "whose customer it is")
			fs.StringVar(&o.format, "format", "", "a ClickHouse output `format` instead of the text for people")
			return o
		},
		run: func(ctx context.Context, env *environment, opts any, args []string) error {
			o := opts.(*customerOptions)
			if len(args) > 1 {
				fs := flag.NewFlagSet("earshot customer", flag.ContinueOnError)
				fs.SetOutput(env.stderr)
				fs.StringVar(&o.tenant, "tenant", o.tenant, "")
				fs.StringVar(&o.format, "format", o.format, "")
				if err := fs.Parse(args[1:]); err != nil {
					return usageError{err}
				}
				args = append(args[:1:1], fs.Args()...)
			}
			if len(args) != 1 {
				return usagef("takes one customer; 'earshot customer -h' has an example")
			}
			return runCustomer(ctx, env, o, args[0])
		},
	}
}

// isKey says whether a name is a customer key already.
func isKey(s string) bool { return len(s) == 32 && strings.Trim(s, "0123456789abcdef") == "" }

func runCustomer(ctx context.Context, env *environment, o *customerOptions, name string) (err error) {
	var opened closers
	defer func() { err = opened.closeAfter(err) }()
	store, s, err := locateStore(ctx, env, newLogger(&env.config, env.stderr).Level(warnLevel), &opened)
	if err != nil {
		return err
	}
	key := name
	if !isKey(name) {
		secrets, err := customerKeys(&env.config, s.dir)
		if err != nil {
			return err
		}
		keyer, err := privacy.NewKeyer(secrets...)
		if err != nil {
			return err
		}
		live, err := store.Live(ctx)
		if err != nil {
			return err
		}
		version, err := store.KeyVersion(ctx, live)
		if err != nil {
			return err
		}
		if version > keyer.Version() {
			return fmt.Errorf("the table has customer keys of version %d, whose secret is not here: copy customer.key.%d beside customer.key", version, version)
		}
		key = keyer.KeyAt(version, o.tenant, name)
	}
	const statement = "SELECT * FROM customer_story WHERE tenant = {tenant:String} AND customer_key = {key:String} ORDER BY occurred_at, kind, event_id"
	params := map[string]string{"tenant": o.tenant, "key": key}
	if o.format != "" {
		return store.Query(ctx, statement, params, o.format, env.stdout)
	}
	return tellStory(ctx, store, statement, params, env.stdout)
}

// chapter is one event of a story.
type chapter struct {
	At         string   `json:"occurred_at"`
	Kind       string   `json:"kind"`
	Actor      string   `json:"actor_kind"`
	Visibility string   `json:"visibility"`
	Channel    string   `json:"channel"`
	Thread     string   `json:"thread"`
	What       string   `json:"what"`
	Rating     *float64 `json:"rating"`
	Scale      string   `json:"scale"`
	Sentiment  string   `json:"sentiment"`
	Intent     string   `json:"intent"`
	Churn      float64  `json:"churn_risk"`
}

func tellStory(ctx context.Context, store *clickhouse.Store, statement string, params map[string]string, w io.Writer) error {
	var out bytes.Buffer
	if err := store.Query(ctx, statement, params, "JSONEachRow", &out); err != nil {
		return err
	}
	n := 0
	for d := json.NewDecoder(&out); d.More(); n++ {
		var c chapter
		if err := d.Decode(&c); err != nil {
			return fmt.Errorf("read the story: %w", err)
		}
		if n == 0 {
			fmt.Fprintf(w, "customer %s of tenant %s; times are UTC\n", params["key"], params["tenant"])
		}
		c.print(w)
	}
	if n == 0 {
		return fmt.Errorf("tenant %s has no event of customer %s; 'earshot customer' wants the customer as the source knows them, or the key, and --tenant", params["tenant"], params["key"])
	}
	_, err := fmt.Fprintf(w, "%d events\n", n)
	return err
}

func (c *chapter) print(w io.Writer) {
	marks := []string{c.Kind}
	if c.Actor != "customer" {
		marks = append(marks, "by "+c.Actor)
	}
	if c.Visibility == "internal" {
		marks = append(marks, "internal")
	}
	marks = append(marks, c.Channel)
	if c.Thread != "" {
		marks = append(marks, printable(c.Thread))
	}
	fmt.Fprintf(w, "\n%s  %s\n", c.At[:min(len(c.At), len("2006-01-02 15:04:05"))], strings.Join(marks, " · "))
	if c.Rating != nil {
		fmt.Fprintf(w, "    rated %g", *c.Rating)
		if c.Scale != "" {
			fmt.Fprintf(w, " on %s", c.Scale)
		}
		fmt.Fprintln(w)
	}
	for line := range strings.Lines(c.What) {
		fmt.Fprintf(w, "    %s\n", printable(strings.TrimRight(line, "\r\n")))
	}
	if c.Sentiment != "" && c.Actor == "customer" && (c.What != "" || c.Rating != nil) {
		fmt.Fprintf(w, "    = %s, %s, risk of leaving %.0f %%\n", strings.ReplaceAll(c.Sentiment, "_", " "), strings.ReplaceAll(c.Intent, "_", " "), 100*c.Churn)
	}
}

// printable keeps what a customer wrote from steering a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\t' {
			return '\uFFFD'
		}
		return r
	}, s)
}
