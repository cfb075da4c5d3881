package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/clickhouse"
)

// balance is what was accepted against what became of it.
type balance struct {
	Accepted   uint64 `json:"accepted"`   // messages the log took, since it was created
	Stored     uint64 `json:"stored"`     // rows in the table, counted there
	Duplicates uint64 `json:"duplicates"` // events seen before, as the ledger counted them
	Dead       uint64 `json:"dead"`       // dead letters, as the ledger counted them; held against those that are there
	Pending    uint64 `json:"pending"`    // accepted and not yet dealt with
	Exact      bool   `json:"exact"`      // nothing pending, and accepted = stored + duplicates + dead in every shard
}

type reconcileOptions struct {
	json   bool
	wait   time.Duration
	since  time.Time
	byHour bool
}

func reconcileCommand() command {
	return command{
		name: "reconcile", summary: "prove that what was accepted is what is stored",
		help: "Counts the messages of the log, the rows of the table and the dead letters, shard by shard, holds them against\nthe ledger, and exits 1 unless accepted = stored + duplicates + dead.\n--by-hour goes through the log message by message instead of believing counts: each must be a row, a dead letter, or a\nduplicate of an event that is stored elsewhere. It counts by the hour of receipt (UTC) and channel, and names the first\nmessages that are none of these or more than one; difference is how many there are. --since does so for a part of the log\nand prints only what differs. What is past the log's age cannot be compared.\nExample: earshot reconcile --by-hour --since 24h",
		flags: func(fs *flag.FlagSet) any {
			o := &reconcileOptions{}
			fs.BoolVar(&o.json, "json", false, "print one JSON object")
			fs.BoolVar(&o.byHour, "by-hour", false, "compare message by message, and print every hour and channel")
			fs.Func("since", "compare what was received since `TIME`: a date, a time, or an age such as 36h; default: all that the log has", func(v string) (err error) {
				o.since, err = parseMoment(v, time.Now())
				return err
			})
			fs.DurationVar(&o.wait, "wait", 30*time.Second, "how long to wait for the workers to catch up")
			return o
		},
		run: func(ctx context.Context, env *environment, opts any, args []string) error {
			if err := nothingAfter(args); err != nil {
				return err
			}
			return runReconcile(ctx, env, opts.(*reconcileOptions))
		},
	}
}

func runReconcile(ctx context.Context, env *environment, o *reconcileOptions) (err error) {
	var opened closers
	defer func() { err = opened.closeAfter(err) }()
	k, err := openBooks(ctx, env, "earshot-reconcile", &opened)
	if err != nil {
		return err
	}
	js, shards, store := k.js, k.shards, k.store
	b, faults, err := reconcile(ctx, js, shards, store, o.wait)
	if err != nil {
		return err
	}
	hourly, err := compareHours(ctx, env, o, js, shards, store)
	if err != nil {
		return err
	}
	if o.json {
		if err := json.NewEncoder(env.stdout).Encode(struct {
			balance
			*hourlyBalance
		}{b, hourly}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(env.stdout, "accepted   %10d\nstored     %10d\nduplicates %10d\ndead       %10d\npending    %10d\n", b.Accepted, b.Stored, b.Duplicates, b.Dead, b.Pending)
		fmt.Fprintf(env.stdout, "exact      %10v\n", b.Exact)
		hourly.print(env, o.byHour)
	}
	for _, f := range faults {
		fmt.Fprintln(env.stderr, f)
	}
	if !b.Exact || hourly.differs() {
		return errReported
	}
	return nil
}

// books are what a command looks at that holds log, ledger and table against each other.
type books struct {
	*servers
	log    zerolog.Logger
	nc     *nats.Conn
	js     jetstream.JetStream
	store  *clickhouse.Store
	shards []*stream.Shard
}

// openBooks finds or starts the servers; name is what NATS shows for the connection.
func openBooks(ctx context.Context, env *environment, name string, opened *closers) (*books, error) {
	k := &books{log: newLogger(&env.config, env.stderr).Level(warnLevel)}
	var err error
	if k.servers, err = locate(ctx, env, need{nats: true, clickhouse: true}, k.log, opened); err != nil {
		return nil, err
	}
	if k.nc, k.js, err = stream.Connect(k.natsURL, name, k.log); err != nil {
		return nil, err
	}
	opened.add("NATS connection", func(context.Context) error { k.nc.Close(); return nil })
	if k.store, err = openStore(ctx, env, k.servers, k.log); err != nil {
		return nil, err
	}
	opened.add("store", func(context.Context) error { return k.store.Close() })
	k.shards, err = openShards(ctx, k.js, k.nc, env.config.Shards)
	return k, err
}

// position is how far a shard's worker has come against its log.
type position struct {
	shard int
	epoch string // of the log
	last  uint64 // the log's last sequence, which is how many events it has accepted
	cp    schemas.Checkpoint
}

// openShards opens the ledgers of all shards for looking at them.
func openShards(ctx context.Context, js jetstream.JetStream, nc *nats.Conn, shards int) ([]*stream.Shard, error) {
	out := make([]*stream.Shard, shards)
	for i := range out {
		var err error
		if out[i], err = stream.OpenShard(ctx, js, nc, i); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// waitCaughtUp waits until every shard's checkpoint has reached what its log held at the call, and returns where they
// stand. At the end of ctx it returns where they stand then, together with an error.
func waitCaughtUp(ctx context.Context, shards []*stream.Shard) ([]position, error) {
	quick := context.WithoutCancel(ctx) // a look takes milliseconds; ctx bounds the waiting
	out := make([]position, len(shards))
	for i, s := range shards {
		last, err := s.Last(quick)
		if err != nil {
			return nil, err
		}
		out[i] = position{shard: i, epoch: s.Epoch(), last: last}
	}
	for {
		behind := 0
		for i, s := range shards {
			l, err := s.Load(quick)
			if err != nil {
				return nil, err
			}
			if l.Checkpoint != nil {
				out[i].cp = *l.Checkpoint
			}
			if out[i].cp.Hi < out[i].last || out[i].cp.Outcomes > 0 {
				behind++
			}
		}
		if behind == 0 {
			return out, nil
		}
		select {
		case <-ctx.Done():
			return out, fmt.Errorf("%d of %d shards are behind their log: %w", behind, len(shards), ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// reconcile compares log, ledger, table and dead letters. faults says in words what does not agree.
func reconcile(ctx context.Context, js jetstream.JetStream, shards []*stream.Shard, store *clickhouse.Store, wait time.Duration) (b balance, faults []string, err error) {
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	positions, err := waitCaughtUp(waiting, shards)
	if positions == nil {
		return b, nil, err
	}
	fault := func(shard int, format string, args ...any) {
		faults = append(faults, fmt.Sprintf("shard %d: ", shard)+fmt.Sprintf(format, args...))
	}
	for _, p := range positions {
		cp := p.cp
		if cp.Epoch != "" && cp.Epoch != p.epoch {
			fault(p.shard, "the ledger was written for the log %s, but the log is %s now: it was recreated or restored", cp.Epoch, p.epoch)
			cp = schemas.Checkpoint{}
		}
		stored, distinct, err := store.Count(ctx, max(cp.Generation, 1), p.epoch, p.shard, math.MaxInt64)
		if err != nil {
			return b, nil, err
		}
		letters, whole, err := deadLetters(ctx, js, p.shard)
		if err != nil {
			return b, nil, err
		}
		if letters > cp.Dead { // there may be some of a log that this one took the place of
			own, err := shards[p.shard].Dead(ctx)
			if err != nil {
				return b, nil, err
			}
			letters = min(letters, uint64(len(own)))
		}
		b.Accepted += p.last
		b.Stored += stored
		b.Duplicates += cp.Duplicates
		b.Dead += cp.Dead
		switch {
		case cp.Hi > p.last:
			fault(p.shard, "the ledger has dealt with %d events, but the log has only ever taken %d", cp.Hi, p.last)
		case cp.Hi < p.last:
			b.Pending += p.last - cp.Hi
			fault(p.shard, "%d events are accepted but not dealt with: if a worker is running, ask again; /readyz?verbose says whether it is", p.last-cp.Hi)
		}
		if stored != distinct {
			fault(p.shard, "%d rows have only %d different sequences: rows are doubled", stored, distinct)
		}
		if stored != cp.Stored {
			fault(p.shard, "the ledger says %d rows were stored, the table has %d", cp.Stored, stored)
		}
		if sum := stored + cp.Duplicates + cp.Dead; sum != cp.Hi {
			fault(p.shard, "%d events were dealt with, but stored + duplicates + dead is %d", cp.Hi, sum)
		}
		if letters > cp.Dead || whole && letters < cp.Dead {
			fault(p.shard, "the ledger says %d dead letters, but %d are there", cp.Dead, letters)
		}
	}
	if len(positions) > 0 {
		repeats, err := store.Repeats(ctx, max(positions[0].cp.Generation, 1))
		if err != nil {
			return b, nil, err
		}
		if repeats > 0 {
			faults = append(faults, fmt.Sprintf("%d events are stored a second time under another sequence: 'earshot audit' says more", repeats))
		}
	}
	b.Exact = len(faults) == 0
	return b, faults, nil
}

// deadLetters counts a shard's dead letters where they were written. whole says that none can have expired yet: the stream
// is younger than what it keeps.
func deadLetters(ctx context.Context, js jetstream.JetStream, shard int) (n uint64, whole bool, err error) {
	st, err := js.Stream(ctx, schemas.OutcomesStream)
	if err != nil {
		return 0, false, fmt.Errorf("count the dead letters of shard %d: %w", shard, err)
	}
	info, err := st.Info(ctx, jetstream.WithSubjectFilter(fmt.Sprintf("dead.%d.>", shard)))
	if err != nil {
		return 0, false, fmt.Errorf("count the dead letters of shard %d: %w", shard, err)
	}
	for _, count := range info.State.Subjects {
		n += count
	}
	age := info.Config.MaxAge
	return n, age == 0 || time.Since(info.Created) < age, nil
}
