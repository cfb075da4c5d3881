package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/processors/measure"
	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/clickhouse"
	"github.com/earshot/earshot/sinks/clickhouse/engine"
)

// warnLevel is the log level of commands whose output is for a person: what goes well is not worth a line.
const warnLevel = zerolog.WarnLevel

// openInput opens the file that a command was given, or standard input for "-".
func openInput(env *environment, args []string) (io.ReadCloser, string, error) {
	if len(args) != 1 {
		return nil, "", usagef("takes one file, or - for standard input")
	}
	if args[0] == "-" {
		return io.NopCloser(env.stdin), "standard input", nil
	}
	f, err := os.Open(args[0])
	if err != nil {
		return nil, "", err
	}
	return f, args[0], nil
}

func classifyCommand() command {
	return command{
		name: "classify", args: "[FILE]", summary: "classify texts, one JSON object a line",
		help: "Reads {\"text\":…,\"language\":…,\"rating\":…} a line from FILE or standard input and writes one JSON object a line.\nrating is on the scale 1–5, or on scale_min–scale_max where the line gives them.\nExample: echo '{\"text\":\"Nobody answered for three days\"}' | earshot classify",
		run: func(_ context.Context, env *environment, _ any, args []string) error {
			if len(args) == 0 {
				args = []string{"-"}
			}
			in, name, err := openInput(env, args)
			if err != nil {
				return err
			}
			defer in.Close()
			return classifyLines(in, name, env.stdout, env.stderr)
		},
	}
}

// maxLine is the longest line a command reads: the largest event, with room for the envelope.
const maxLine = 2 * schemas.MaxEventBytes

// lines calls f for every line that is not blank, with its number from 1.
func lines(r io.Reader, name string, f func(number int, line []byte) error) error {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 64<<10), maxLine)
	n := 0
	for s.Scan() {
		n++
		if line := bytes.TrimSpace(s.Bytes()); len(line) > 0 {
			if err := f(n, line); err != nil {
				return err
			}
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("%s, line %d: %w; a line may have %d bytes", name, n+1, err, maxLine)
	}
	return nil
}

func classifyLines(in io.Reader, name string, out, faults io.Writer) error {
	c, err := classify.Load()
	if err != nil {
		return err
	}
	w := bufio.NewWriter(out)
	bad := 0
	err = lines(in, name, func(n int, line []byte) error {
		input, err := classifyInput(line)
		if err != nil {
			bad++
			fmt.Fprintf(faults, "%s, line %d: %v\n", name, n, err)
			return nil
		}
		labels := c.Classify(input)
		b, err := json.Marshal(classify.NewLine(&labels))
		if err != nil {
			return err
		}
		_, err = w.Write(append(b, '\n'))
		return err
	})
	if err == nil {
		err = w.Flush()
	}
	if err == nil && bad > 0 {
		return errReported
	}
	return err
}

// classifyInput reads one line of 'earshot classify'. A rating without a scale is one of five.
func classifyInput(line []byte) (classify.Input, error) {
	var in struct {
		Text      *string  `json:"text"`
		Language  string   `json:"language"`
		Channel   string   `json:"channel"`
		Rating    *float64 `json:"rating"`
		ScaleMin  *float64 `json:"scale_min"`
		ScaleMax  *float64 `json:"scale_max"`
		FieldType string   `json:"field_type"`
		Question  string   `json:"question"`
	}
	if err := json.Unmarshal(line, &in); err != nil {
		return classify.Input{}, fmt.Errorf(`is not an object such as {"text":"…","language":"en","rating":4}: %w`, jsonFault(err))
	}
	if in.Text == nil && in.Rating == nil {
		return classify.Input{}, errors.New("has neither text nor rating")
	}
	out := classify.Input{Kind: schemas.FeedbackReceived, Language: in.Language, Channel: in.Channel, FieldType: in.FieldType, QuestionText: in.Question}
	if in.Text != nil {
		out.Text = *in.Text
	}
	if in.Rating != nil {
		e := schemas.Event{Data: schemas.Data{FieldType: in.FieldType, Number: in.Rating, ScaleMin: in.ScaleMin, ScaleMax: in.ScaleMax}}
		if e.Data.FieldType == "" {
			e.Data.FieldType = "rating"
		}
		out.Rating = measure.Rating(&e)
		if !out.Rating.Valid {
			return classify.Input{}, fmt.Errorf("rating %g is off its scale; the scale is 1–5 unless scale_min and scale_max say otherwise", *in.Rating)
		}
	}
	return out, nil
}

// jsonFault says what is wrong with a line in the words of JSON, not of Go.
func jsonFault(err error) error {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return err
	}
	if wrong.Field == "" {
		return fmt.Errorf("found %s", wrong.Value)
	}
	return fmt.Errorf("%s: found %s, wanted %s", wrong.Field, wrong.Value, strings.TrimPrefix(wrong.Type.String(), "*"))
}

func evaluateCommand() command {
	return command{
		name: "evaluate", args: "FILE", summary: "measure the classifier on labelled texts",
		help: "Reads labelled JSONL ({\"text\":…,\"label\":…} a line) and prints accuracy, precision, recall and F1 per class,\nthe confusion matrix, calibration and speed.\nExample: earshot evaluate reviews.jsonl",
		flags: func(fs *flag.FlagSet) any {
			o := &evaluateOptions{}
			fs.BoolVar(&o.json, "json", false, "print one JSON object")
			fs.StringVar(&o.axis, "axis", "", "what the labels say: polarity, element, intent or s5; default: found out from them")
			return o
		},
		run: func(_ context.Context, env *environment, opts any, args []string) error {
			o := opts.(*evaluateOptions)
			if !slices.Contains([]string{"", "polarity", "element", "intent", "s5"}, o.axis) {
				return usagef("--axis takes polarity, element, intent or s5, not %q", o.axis)
			}
			in, name, err := openInput(env, args)
			if err != nil {
				return err
			}
			defer in.Close()
			c, err := classify.Load()
			if err != nil {
				return err
			}
			report, err := c.Evaluate(in, classify.Axis(o.axis), processorTime)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if o.json {
				return json.NewEncoder(env.stdout).Encode(report)
			}
			_, err = fmt.Fprint(env.stdout, report)
			return err
		},
	}
}

// processorTime is a clock that stands still while the process does not run: the processor time it has used.
func processorTime() time.Time {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return time.Time{}
	}
	return time.Unix(0, u.Utime.Nano()+u.Stime.Nano())
}

type evaluateOptions struct {
	json bool
	axis string
}

type migrateOptions struct{ dryRun, status bool }

func migrateCommand() command {
	return command{
		name: "migrate", summary: "bring the ClickHouse schema up to date",
		help: "Applies what is missing, in order, once. 'up' and 'process' do it at their start; run it alone before an upgrade.\nExample: earshot migrate --dry-run",
		flags: func(fs *flag.FlagSet) any {
			o := &migrateOptions{}
			fs.BoolVar(&o.dryRun, "dry-run", false, "print the SQL instead of running it")
			fs.BoolVar(&o.status, "status", false, "list the migrations and whether they are applied")
			return o
		},
		run: func(ctx context.Context, env *environment, opts any, args []string) (err error) {
			if err := nothingAfter(args); err != nil {
				return err
			}
			var opened closers
			defer func() { err = opened.closeAfter(err) }()
			log := newLogger(&env.config, env.stderr).Level(warnLevel)
			s, err := locateStore(ctx, env, log, &opened)
			if err != nil {
				return err
			}
			return runMigrate(ctx, env, s, opts.(*migrateOptions))
		},
	}
}

// locateStore opens the store for a command that needs nothing else.
func locateStore(ctx context.Context, env *environment, log zerolog.Logger, opened *closers) (*clickhouse.Store, error) {
	s, err := locate(ctx, env, need{clickhouse: true}, log, opened)
	if err != nil {
		return nil, err
	}
	store, err := openStore(ctx, env, s, log)
	if err != nil {
		return nil, err
	}
	opened.add("store", func(context.Context) error { return store.Close() })
	return store, nil
}

func runMigrate(ctx context.Context, env *environment, store *clickhouse.Store, o *migrateOptions) error {
	if o.status {
		list, err := store.Status(ctx)
		if err != nil {
			return err
		}
		for _, m := range list {
			fmt.Fprintf(env.stdout, "%4d  %-32s  %s\n", m.Version, m.Name, m.Status)
		}
		return nil
	}
	mo := clickhouse.MigrateOptions{}
	if o.dryRun {
		mo.DryRun = env.stdout
	}
	applied, err := store.Migrate(ctx, mo)
	if err != nil {
		return err
	}
	if o.dryRun {
		return nil
	}
	for _, m := range applied {
		fmt.Fprintf(env.stdout, "applied %4d  %-28s (%s)\n", m.Version, m.Name, m.Reason)
	}
	fmt.Fprintf(env.stdout, "the schema is up to date (%d applied)\n", len(applied))
	return nil
}

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

func versionCommand() command {
	return command{
		name: "version", summary: "print the version and what it is built from",
		help:  "Prints the version, the Go release, the pinned engine and the classifier's model.\nExample: earshot version --json",
		flags: func(fs *flag.FlagSet) any { return fs.Bool("json", false, "print one JSON object") },
		run: func(_ context.Context, env *environment, opts any, args []string) error {
			if err := nothingAfter(args); err != nil {
				return err
			}
			v, err := versions()
			if err != nil {
				return err
			}
			if *opts.(*bool) {
				return json.NewEncoder(env.stdout).Encode(v)
			}
			fmt.Fprintf(env.stdout, "earshot %s\n  revision   %s\n  go         %s\n  platform   %s\n  clickhouse engine package %s\n  classifier %s\n", v.Version, v.Revision, v.Go, v.Platform, v.Engine, v.Model)
			return nil
		},
	}
}

// version is the release this tree is or becomes.
const version = "0.1.0"

type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Engine   string `json:"engine"`
	Model    string `json:"model"`
}

func versions() (versionInfo, error) {
	c, err := classify.Load()
	if err != nil {
		return versionInfo{}, err
	}
	return versionInfo{version, revision(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, engine.Version, c.Model()}, nil
}

// revision is the commit the binary was built from, where the build recorded one.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return "unknown"
}

// buildInfo is the metric that says which version runs.
func buildInfo() prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "earshot_build_info", Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": version, "revision": revision(), "go": runtime.Version()},
	})
	g.Set(1)
	return g
}
