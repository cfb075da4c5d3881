package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/processors/compare"
	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/clickhouse"
	"github.com/earshot/earshot/sinks/deadletter"
)

// hourlyBalance is the comparison message by message.
type hourlyBalance struct {
	Hours     []compare.Line  `json:"hours"`
	Compared  uint64          `json:"compared"`  // messages
	Differing uint64          `json:"differing"` // messages without an end or with more than one, and ends without a message
	Faults    []compare.Fault `json:"faults,omitempty"`
	Notes     []string        `json:"notes,omitempty"` // what could not be compared, and why
}

// compareHours compares what the log still has since the time that was asked for; nil if it was not asked for.
func compareHours(ctx context.Context, env *environment, o *reconcileOptions, js jetstream.JetStream, shards []*stream.Shard, store *clickhouse.Store) (*hourlyBalance, error) {
	if !o.byHour && o.since.IsZero() {
		return nil, nil
	}
	out, box := &hourlyBalance{}, deadletter.New(deadletter.Config{JS: js})
	age, err := box.Age(ctx)
	if err != nil {
		return nil, err
	}
	kept := time.Time{} // from here on every dead letter is still there
	if age > 0 {
		kept = time.Now().Add(-age).Add(time.Hour).Truncate(time.Hour)
	}
	held, err := stream.Accepted(ctx, js, len(shards))
	if err != nil {
		return nil, err
	}
	var sheet compare.Sheet
	for i, log := range shards {
		s := compare.Shard{Log: log, Table: store, Number: i, Epoch: log.Epoch(), Generation: 1, Lo: held[i].First}
		ledger, err := log.Load(ctx)
		if err != nil {
			return nil, err
		}
		if cp := ledger.Checkpoint; cp != nil && cp.Epoch == s.Epoch {
			s.Generation, s.Hi = cp.Generation, cp.Hi
		} else if s.Hi, err = store.MaxSeq(ctx, schemas.Range{Epoch: s.Epoch, Shard: i, Generation: s.Generation, Lo: 1, Hi: math.MaxInt64}); err != nil { // no ledger: up to where there are rows
			return nil, err
		}
		asked, err := firstSince(ctx, log, o.since.Truncate(time.Hour), s.Lo) // whole hours only
		if err != nil {
			return nil, err
		}
		certain, err := firstSince(ctx, log, kept, s.Lo)
		if err != nil {
			return nil, err
		}
		s.Lo = max(s.Lo, asked, certain)
		if asked <= held[i].First && held[i].First > 1 {
			out.note("shard %d: the log begins at sequence %d: the messages before it are past EARSHOT_LOG_MAX_AGE, and their hours cannot be compared", i, held[i].First)
		}
		if certain > max(asked, held[i].First) {
			out.note("shard %d: dead letters are kept for %v: messages before %s, sequence %d, cannot be compared", i, age, kept.Format(time.RFC3339), certain)
		}
		if s.Letters, err = box.Sequences(ctx, s.Epoch, i); err != nil {
			return nil, err
		}
		if err := s.Compare(ctx, &sheet); err != nil {
			return nil, fmt.Errorf("compare shard %d: %w", i, err)
		}
		log.Close()
	}
	out.Hours, out.Differing, out.Faults = sheet.Lines(), sheet.Differ, sheet.Faults
	for _, l := range out.Hours {
		out.Compared += l.Published
	}
	return out, nil
}

// firstSince is the sequence of the first message since a time; without a time it is otherwise.
func firstSince(ctx context.Context, log *stream.Shard, since time.Time, otherwise uint64) (uint64, error) {
	if since.IsZero() {
		return otherwise, nil
	}
	return log.Since(ctx, since)
}

func (h *hourlyBalance) note(format string, args ...any) {
	h.Notes = append(h.Notes, fmt.Sprintf(format, args...))
}

// differs says whether a difference was found.
func (h *hourlyBalance) differs() bool { return h != nil && h.Differing > 0 }

// print prints the hours, all or only those that differ, and names the differences.
func (h *hourlyBalance) print(env *environment, all bool) {
	if h == nil {
		return
	}
	fmt.Fprintf(env.stdout, "\n%-14s %-10s %10s %10s %10s %10s %10s\n", "hour (UTC)", "channel", "published", "stored", "duplicates", "dead", "difference")
	var sum compare.Line
	row := func(hour, channel string, l *compare.Line) {
		fmt.Fprintf(env.stdout, "%-14s %-10s %10d %10d %10d %10d %10d\n", hour, visible(channel), l.Published, l.Stored, l.Duplicates, l.Dead, l.Difference)
	}
	for i := range h.Hours {
		l := &h.Hours[i]
		hour, channel := l.Hour.Format("2006-01-02 15h"), l.Channel
		if l.Hour.IsZero() { // a dead letter without a message has neither
			hour, channel = "-", "-"
		}
		if all || l.Difference > 0 {
			row(hour, channel, l)
		}
		sum.Published += l.Published
		sum.Stored += l.Stored
		sum.Duplicates += l.Duplicates
		sum.Dead += l.Dead
		sum.Difference += l.Difference
	}
	row("all", "", &sum)
	for _, n := range h.Notes {
		fmt.Fprintln(env.stderr, n)
	}
	for _, f := range h.Faults {
		fmt.Fprintln(env.stderr, visible(f.String()))
	}
	if more := h.Differing - uint64(len(h.Faults)); more > 0 {
		fmt.Fprintf(env.stderr, "and %d more\n", more)
	}
}
