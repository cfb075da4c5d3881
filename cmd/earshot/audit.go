package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/processors/audit"
	"github.com/earshot/earshot/processors/worker"
	"github.com/earshot/earshot/schemas"
)

type auditOptions struct{ json, full, repair bool }

func auditCommand() command {
	return command{
		name: "audit", summary: "find rows that are missing, doubled or not as planned",
		help: "Holds the table against the ledger, shard by shard, while workers run or not: rows missing, rows doubled, rows that\nnobody planned, the newest plan's digests, the table's settings, and the hourly projection for one hour chosen by\nchance. Exits 1 on any finding. A node does the same by itself every EARSHOT_AUDIT_EVERY.\nWith --repair, events that are missing are brought in again from the log, each once, while workers run or not.\nExample: earshot audit --full",
		flags: func(fs *flag.FlagSet) any {
			o := &auditOptions{}
			fs.BoolVar(&o.json, "json", false, "print one JSON object")
			fs.BoolVar(&o.full, "full", false, "also read the log to say which events are missing, and compare all hours")
			fs.BoolVar(&o.repair, "repair", false, "bring in again from the log what is missing, then look as with --full")
			return o
		},
		run: func(ctx context.Context, env *environment, opts any, args []string) error {
			if err := nothingAfter(args); err != nil {
				return err
			}
			return runAudit(ctx, env, opts.(*auditOptions))
		},
	}
}

func runAudit(ctx context.Context, env *environment, o *auditOptions) (err error) {
	var opened closers
	defer func() { err = opened.closeAfter(err) }()
	k, err := openBooks(ctx, env, "earshot-audit", &opened)
	if err != nil {
		return err
	}
	e := &examiner{shards: k.shards, store: k.store, pick: rand.N[uint64]}
	look := e.examine
	if o.full || o.repair {
		look = e.full
	}
	if o.repair {
		if err := e.repair(ctx, env, k); err != nil {
			return err
		}
	}
	x, err := look(ctx)
	if err != nil {
		return err
	}
	if o.json {
		err = json.NewEncoder(env.stdout).Encode(x)
	} else {
		err = x.print(env.stdout)
	}
	if err == nil && !x.OK {
		return errReported
	}
	return err
}

// repair brings in again what is missing and still in the log, by the workers' own protocol.
func (e *examiner) repair(ctx context.Context, env *environment, k *books) error {
	x, err := e.full(ctx)
	if err != nil {
		return err
	}
	cfg, err := loadWorkerConfig(&env.config, k.dir, k.log, nil)
	if err != nil {
		return err
	}
	shelf, err := openLibrary(ctx, e.store)
	if err != nil {
		return err
	}
	cfg.Classifier = shelf.with(cfg.Classifier)
	for i := range x.Shards {
		missing := x.Shards[i].Found.Missing
		if len(missing) == 0 {
			continue
		}
		shard, err := stream.OpenShard(ctx, k.js, k.nc, i)
		if err != nil {
			return err
		}
		cfg.Shard, cfg.Log, cfg.Store, cfg.Generation = i, shard, e.store, x.Shards[i].Generation
		all := audit.Count(missing)
		fmt.Fprintf(env.stderr, "shard %d: %d events are missing in %d runs and are brought in again from the log\n", i, all, len(missing))
		said := time.Now()
		rows, err := worker.New(cfg).Repair(ctx, missing, func(done uint64) {
			if time.Since(said) > time.Second {
				said = time.Now()
				fmt.Fprintf(env.stderr, "shard %d: %d of %d\n", i, done, all)
			}
		})
		shard.Close()
		switch {
		case errors.Is(err, schemas.ErrLost):
			return fmt.Errorf("repair shard %d: the worker of the shard won every time: %w; try again when there is less to do", i, err)
		case err != nil:
			return fmt.Errorf("repair shard %d: %w", i, err)
		}
		fmt.Fprintf(env.stderr, "shard %d: %d rows were brought in again\n", i, rows)
	}
	return nil
}

// print says for people what was looked at and found.
func (x *examination) print(w io.Writer) error {
	for i := range x.Shards {
		s := &x.Shards[i]
		fmt.Fprintf(w, "shard %d: up to sequence %d, generation %d: %d rows of %d events, %d missing, %d doubled\n",
			s.Shard, s.Upto.Hi, s.Generation, s.Rows, s.Due, s.Gap, s.Duplicates)
		if f := s.Found; f != nil {
			fmt.Fprintf(w, "shard %d: of the sequences without a row %d are duplicates and %d dead letters; %d are no longer in the log\n",
				s.Shard, f.Duplicates, f.Dead, f.Gone)
		}
	}
	fmt.Fprintf(w, "events: %d are stored a second time\ntable: %d settings are weaker than they should be\nprojection: %d hours compared, %d figures differ\n",
		x.Repeats, len(x.Table), x.Projection.Hours, x.Projection.Differences)
	for _, f := range x.faults() {
		fmt.Fprintln(w, "WRONG:", f)
	}
	word := map[bool]string{true: "nothing is wrong", false: "not everything is right"}[x.OK]
	_, err := fmt.Fprintln(w, word)
	return err
}
