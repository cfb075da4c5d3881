package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// benchOptions says how much is measured.
type benchOptions struct {
	short   bool
	json    bool
	events  int
	rounds  int
	profile string
}

// How much is measured where the flags do not say otherwise: enough that a run of the fastest contender takes seconds,
// and --short so much that all of it ends within three minutes on two cores.
const (
	benchEvents, benchRounds = 1_000_000, 5
	shortEvents, shortRounds = 200_000, 3
)

func benchCommand() command {
	return command{
		name: "bench", args: "[queries]", summary: "measure the pipeline against its limit and a plain one",
		help: `Fills an embedded log with seeded events and lets contenders, each a process of its own, work it off in turn:
  limit       reads and acknowledges, nothing else: what the log itself can deliver
  null        earshot's worker with a store that keeps nothing
  clickhouse  earshot's worker into the embedded ClickHouse
  naive       the same work written plainly: encoding/json, rows appended one by one, every message acknowledged
Time runs until the servers prove the end. Figures of one machine compare with nothing; the ratios do. The command fails
when a contender did not store exactly what was sent, or when earshot is not twice as fast as naive.

'earshot bench queries' fills an embedded ClickHouse instead and times every named query on it; it fails when one takes
longer than 100 ms, as a rule.
Examples:
  earshot bench --short
  earshot bench queries`,
		flags: func(fs *flag.FlagSet) any {
			o := &benchOptions{}
			fs.BoolVar(&o.short, "short", false, fmt.Sprintf("%d events and %d rounds instead of %d and %d", shortEvents, shortRounds, benchEvents, benchRounds))
			fs.BoolVar(&o.json, "json", false, "print the result as JSON, every run included")
			fs.IntVar(&o.events, "events", 0, "`number` of events, from 1; default: see --short")
			fs.IntVar(&o.rounds, "rounds", 0, "`number` of rounds, from 1; default: see --short")
			fs.StringVar(&o.profile, "profile", "", "existing `folder` that takes a CPU profile of each contender, of its last round")
			return o
		},
		run: func(ctx context.Context, env *environment, opts any, args []string) error {
			if len(args) == 1 && args[0] == contenderArg {
				return contend(ctx, env)
			}
			o := opts.(*benchOptions)
			if len(args) > 0 && args[0] == queriesArg {
				return benchQueries(ctx, env, o, args[1:])
			}
			if err := nothingAfter(args); err != nil {
				return err
			}
			return runBench(ctx, env, o)
		},
	}
}

// defaults fills in what was not given.
func (o *benchOptions) defaults() error {
	if o.events < 0 || o.rounds < 0 {
		return usagef("--events and --rounds take 1 or more")
	}
	events, rounds := benchEvents, benchRounds
	if o.short {
		events, rounds = shortEvents, shortRounds
	}
	if o.events == 0 {
		o.events = events
	}
	if o.rounds == 0 {
		o.rounds = rounds
	}
	return nil
}

// runBench lets every contender run once a round, so that what disturbs the machine for a while disturbs them all.
func runBench(ctx context.Context, env *environment, o *benchOptions) (err error) {
	if err := o.defaults(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "earshot-bench-")
	if err != nil {
		return fmt.Errorf("make a folder for the measurement: %w", err)
	}
	b := &bench{o: o, env: benchEnvironment(env, dir)}
	b.opened.add("folder", func(context.Context) error { return os.RemoveAll(dir) })
	defer func() { err = b.opened.closeAfter(err) }()
	if err := b.open(ctx); err != nil {
		return err
	}
	fmt.Fprintf(env.stderr, "Filling the log with %s events …\n", grouped(o.events))
	size, err := b.preload(ctx)
	if err != nil {
		return err
	}
	r := &benchResult{Events: o.events, Rounds: o.rounds, BytesPerEvent: float64(size) / float64(o.events), Cores: runtime.NumCPU()}
	for round := range o.rounds {
		for _, name := range contenders {
			if err := b.reset(ctx); err != nil {
				return fmt.Errorf("reset before round %d of %s: %w", round+1, name, err)
			}
			m, err := b.run(ctx, name, round == o.rounds-1)
			if err != nil {
				return fmt.Errorf("round %d of %s: %w", round+1, name, err)
			}
			fmt.Fprintf(env.stderr, "round %d  %-10s %10s/s\n", round+1, name, grouped(int(m.PerSecond)))
			r.Runs = append(r.Runs, m)
		}
	}
	r.judge()
	if o.json {
		enc := json.NewEncoder(env.stdout)
		enc.SetIndent("", "  ")
		err = enc.Encode(r)
	} else {
		err = r.print(env.stdout)
	}
	if err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	if len(r.Faults) > 0 {
		return fmt.Errorf("the measurement failed: %s", strings.Join(r.Faults, "; "))
	}
	return nil
}

// benchEnvironment is the environment of a measurement: its own folder and its own servers, whatever is configured.
func benchEnvironment(env *environment, dir string) *environment {
	own := *env
	c := &own.config
	c.DataDir, c.NatsURL, c.ClickhouseDSN, c.Shards = dir, Secret{}, Secret{}, 1
	c.BrokerAddr, c.EngineAddr = "127.0.0.1:0", "127.0.0.1:0"
	if !c.set["EARSHOT_LOG_LEVEL"] {
		c.LogLevel = "warn"
	}
	return &own
}
