// Package worker is the shard loop: it reads the log in order, has every event decoded, told from duplicates, classified
// and measured on all cores, and brings the rows into the store exactly once.
//
// A range of the log passes through it like this. [Worker.Run] reads it and prepares a batch: rows, duplicates and dead
// letters. The batch is announced as a plan in the ledger by compare-and-swap, inserted one month at a time, verified, and
// closed by one atomic commit of insights, dead letters and the checkpoint. Whatever fails in between leaves a plan from
// which this worker, or the next one, finds out by reading back what is in the table; a retry is never a guess. While one
// batch is being stored, the next is being prepared.
//
// The package refuses to skip: an event ends as a row, as a counted duplicate or as a dead letter with its reason, and a
// shard whose table contradicts its ledger halts with an error instead of healing in silence. It knows the log and the
// store only by the two small interfaces it declares.
package worker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/rs/zerolog"

	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/processors/privacy"
	"github.com/earshot/earshot/schemas"
)

// Log is one shard of the log together with its ledger.
type Log interface {
	// Epoch names the stream since its creation.
	Epoch() string
	// Read returns up to most records (and about maxBytes) after the sequence, in order. It waits idle for the first
	// record and linger for more; no record within idle is an empty answer, not an error.
	Read(ctx context.Context, after uint64, most, maxBytes int, idle, linger time.Duration) ([]schemas.Record, error)
	// Load returns the newest plan and checkpoint.
	Load(ctx context.Context) (schemas.Ledger, error)
	// SavePlan replaces the plan if its sequence is still expect, else fails with [schemas.ErrLost].
	SavePlan(ctx context.Context, p schemas.Plan, expect uint64) (uint64, error)
	// Commit publishes the outcomes from number done on and the checkpoint, atomically in pieces, if the checkpoint's
	// sequence is still expect, else fails with [schemas.ErrLost].
	Commit(ctx context.Context, cp schemas.Checkpoint, expect uint64, outcomes []schemas.Outcome, done int) (uint64, error)
}

// Store is the fact table. An error of it that can never succeed, whatever the retries, says so by a method
// Permanent() bool.
type Store interface {
	// Insert writes rows of one month as one part; the token makes a repetition harmless.
	Insert(ctx context.Context, rows []schemas.Row, token string) error
	// Probe says whether the table would take the rows, without writing them.
	Probe(ctx context.Context, rows []schemas.Row) error
	// Kill ends the insert with this token if it is still running, and returns when it is gone.
	Kill(ctx context.Context, token string) error
	// ReadBack counts the rows of a range and sums their digests.
	ReadBack(ctx context.Context, r schemas.Range) (rows, digest uint64, err error)
	// Seqs lists the sequences of the rows of a range.
	Seqs(ctx context.Context, r schemas.Range) ([]uint64, error)
	// Known returns which of the identities rows already have. Rows of the shard's epoch from sequence before on are left
	// out: they are what is being decided on.
	Known(ctx context.Context, generation uint32, epoch string, shard int, before uint64, ids []schemas.EventID) (map[schemas.EventID]struct{}, error)
	// Recent returns up to limit identities of the shard's rows, the newest first, with the same rows left out.
	Recent(ctx context.Context, generation uint32, epoch string, shard int, before uint64, limit int) ([]schemas.EventID, error)
}

// Config is what a worker needs.
type Config struct {
	Shard      int
	Generation uint32 // of the classification this worker writes; from 1
	Log        Log
	Store      Store
	Classifier *classify.Classifier
	Keyer      *privacy.Keyer
	Logger     zerolog.Logger
	Metrics    *Metrics // shared by the workers of a process

	BatchRows     int           // most events of a batch; default 50,000
	BatchBytes    int           // most bytes of a batch's events; default 24 MiB
	Linger        time.Duration // how long a batch waits to fill; default 200 ms
	Idle          time.Duration // how long a read waits for a first event; default 1 s
	Takeover      time.Duration // how long a rival's ledger must stand still before its work is taken over; default 15 s
	InsightMaxAge time.Duration // how old an event may be, when the log receives it, to raise an insight; default 72 h
	DedupCapacity int           // identities kept in memory; default 2,000,000, at most 150 MB
}

// Defaults of [Config]. The batch sizes are where inserts cost least per row (see the decision record on the store).
const (
	DefaultBatchRows     = 50_000
	DefaultBatchBytes    = 24 << 20
	DefaultLinger        = 200 * time.Millisecond
	DefaultIdle          = time.Second
	DefaultTakeover      = 15 * time.Second
	DefaultInsightMaxAge = 72 * time.Hour
	DefaultDedupCapacity = 2_000_000
)

// Worker owns one shard, as long as no other worker takes it.
type Worker struct {
	cfg Config

	ledger schemas.Ledger
	cp     schemas.Checkpoint // the newest committed checkpoint, zero values before the first

	refused bool // the store refused a row in this session, so the set of known identities holds one that is not stored
}

// New returns a worker; nothing happens before [Worker.Run].
func New(cfg Config) *Worker {
	cfg.BatchRows = defaulted(cfg.BatchRows, DefaultBatchRows)
	cfg.BatchBytes = defaulted(cfg.BatchBytes, DefaultBatchBytes)
	cfg.Linger = defaulted(cfg.Linger, DefaultLinger)
	cfg.Idle = defaulted(cfg.Idle, DefaultIdle)
	cfg.Takeover = defaulted(cfg.Takeover, DefaultTakeover)
	cfg.InsightMaxAge = defaulted(cfg.InsightMaxAge, DefaultInsightMaxAge)
	cfg.DedupCapacity = defaulted(cfg.DedupCapacity, DefaultDedupCapacity)
	cfg.Generation = defaulted(cfg.Generation, 1)
	cfg.Logger = cfg.Logger.With().Int("shard", cfg.Shard).Logger()
	return &Worker{cfg: cfg}
}

func defaulted[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}

// HaltError says that the table contradicts the ledger. The shard stops; nothing is repaired by itself.
type HaltError struct {
	Shard  int
	Detail string
}

// Error says what contradicts what, and what to do.
func (e *HaltError) Error() string {
	return fmt.Sprintf("shard %d is halted: %s; the other shards go on; run 'earshot reconcile' and see the decision record on exactly-once before resuming", e.Shard, e.Detail)
}

// Run works until the context ends, which is its only good end and returns nil. It survives what passes: an unreachable
// log or store, a rival worker. It returns a [HaltError] when it must not go on.
func (w *Worker) Run(ctx context.Context) error {
	const firstPause, longestPause = 200 * time.Millisecond, 30 * time.Second
	pause := firstPause
	for ctx.Err() == nil {
		began := w.cp.Hi
		err := w.session(ctx)
		var halt *HaltError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &halt), errors.Is(err, schemas.ErrEpoch):
			w.cfg.Metrics.halted(w.cfg.Shard)
			return err
		case errors.Is(err, schemas.ErrLost):
			w.cfg.Logger.Warn().Err(err).Msg("the ledger of this shard was written by somebody else, as another worker would: standing by")
			w.standBy(ctx)
			continue
		case errors.Is(err, errRefused):
			continue
		}
		if w.cp.Hi != began {
			pause = firstPause
		}
		w.cfg.Logger.Warn().Err(err).Dur("pause", pause).Msg("shard interrupted: beginning again from the checkpoint")
		wait(ctx, pause)
		pause = min(2*pause, longestPause)
	}
	return nil
}

// errRefused ends a session in which the store refused a row. The event was dealt with, but its identity is in the set
// of known ones although it was not stored; the next session rebuilds the set.
var errRefused = errors.New("the store refused a row")

// standBy waits until the ledger has not moved for the takeover time, so that two workers on one shard do not keep
// pushing each other aside.
func (w *Worker) standBy(ctx context.Context) {
	var seen schemas.Ledger
	still := time.Duration(0)
	step := w.cfg.Takeover / 10
	for ctx.Err() == nil && still < w.cfg.Takeover {
		wait(ctx, step)
		l, err := w.cfg.Log.Load(ctx)
		if err != nil || l.PlanSeq != seen.PlanSeq || l.CheckpointSeq != seen.CheckpointSeq {
			seen, still = l, 0
			continue
		}
		still += step
	}
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// session loads the ledger, finishes what a former session left, and then stores batch after batch until something fails.
func (w *Worker) session(ctx context.Context) error {
	w.refused = false
	if err := w.load(ctx); err != nil {
		return err
	}
	prep, err := w.newPreparer(ctx)
	if err != nil {
		return err
	}
	if err := w.resume(ctx, prep); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	batches, failed := prep.stream(ctx, w.cp.Hi)
	for b := range batches {
		if err := w.process(ctx, b); err != nil {
			cancel()
			for range batches { // let the preparer end before the next session reads the same log
			}
			return err
		}
		if w.refused {
			cancel()
			for range batches {
			}
			return errRefused
		}
	}
	return <-failed
}

// load reads the ledger and holds it against the stream.
func (w *Worker) load(ctx context.Context) error {
	l, err := w.cfg.Log.Load(ctx)
	if err != nil {
		return fmt.Errorf("load the ledger: %w", err)
	}
	epoch := w.cfg.Log.Epoch()
	if p := l.Plan; p != nil && p.Epoch != epoch {
		return fmt.Errorf("plan of shard %d has epoch %s, the stream %s: %w", w.cfg.Shard, p.Epoch, epoch, schemas.ErrEpoch)
	}
	if c := l.Checkpoint; c != nil && c.Epoch != epoch {
		return fmt.Errorf("checkpoint of shard %d has epoch %s, the stream %s: %w", w.cfg.Shard, c.Epoch, epoch, schemas.ErrEpoch)
	}
	w.ledger = l
	w.cp = schemas.Checkpoint{Epoch: epoch, Shard: w.cfg.Shard, Generation: w.cfg.Generation}
	if l.Checkpoint != nil {
		w.cp = *l.Checkpoint
		return nil
	}
	if l.Plan == nil {
		return w.virgin(ctx)
	}
	return nil
}

// virgin makes sure that a shard without a ledger has no rows either. Since a plan always comes before its rows, rows that
// are seen before the ledger is still found empty were planned in a ledger that is lost.
func (w *Worker) virgin(ctx context.Context) error {
	rows, _, err := w.cfg.Store.ReadBack(ctx, schemas.Range{Epoch: w.cp.Epoch, Shard: w.cfg.Shard, Generation: w.cfg.Generation, Lo: 1, Hi: math.MaxInt64})
	if err != nil {
		return fmt.Errorf("look for rows without a ledger: %w", err)
	}
	l, err := w.cfg.Log.Load(ctx)
	if err != nil {
		return fmt.Errorf("load the ledger: %w", err)
	}
	switch {
	case l.Plan != nil || l.Checkpoint != nil:
		return schemas.ErrLost // a rival has just begun
	case rows > 0:
		return &HaltError{Shard: w.cfg.Shard, Detail: fmt.Sprintf("the table has %d rows of this stream but the ledger is empty: the OUTCOMES stream was lost", rows)}
	}
	return nil
}
