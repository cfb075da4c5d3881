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
	// First is the sequence of the oldest record that is still there; one more than the newest ever, if none is.
	First(ctx context.Context) (uint64, error)
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
	// KillAll does so for every insert whose token begins with the prefix.
	KillAll(ctx context.Context, prefix string) error
	// ReadBack counts the rows of a range and sums their digests.
	ReadBack(ctx context.Context, r schemas.Range) (rows, digest uint64, err error)
	// Stored lists the rows of a range.
	Stored(ctx context.Context, r schemas.Range) ([]schemas.Stored, error)
	// Rows reads the rows of a range back in order, at most so many; all up to reached are among them.
	Rows(ctx context.Context, r schemas.Range, most, maxBytes int) (rows []schemas.Row, reached uint64, err error)
	// MaxSeq is the highest sequence of the rows of a range, 0 if there are none.
	MaxSeq(ctx context.Context, r schemas.Range) (uint64, error)
	// Known returns which of the identities rows already have. Rows of the shard's epoch from sequence before on are left
	// out: they are what is being decided on.
	Known(ctx context.Context, generation uint32, epoch string, shard int, before uint64, ids []schemas.EventID) (map[schemas.EventID]struct{}, error)
	// Recent returns up to limit identities of the shard's rows, the newest first, with the same rows left out.
	Recent(ctx context.Context, generation uint32, epoch string, shard int, before uint64, limit int) ([]schemas.EventID, error)
}

// Classifier says what a text is about. Equal inputs should give equal labels; where they do not, because it was replaced
// or asks another (see [Reviser]), the labels that are stored count.
type Classifier interface {
	Classify(classify.Input) schemas.Labels
}

// Config is what a worker needs.
type Config struct {
	Shard      int
	Generation uint32 // of the classification this worker writes; from 1
	Log        Log
	Store      Store
	Classifier Classifier
	Keyer      *privacy.Keyer
	Keys       KeyVersions     // nil: all generations have the first version
	Masker     *privacy.Masker // nil: personal data stays in the texts
	Logger     zerolog.Logger
	Metrics    *Metrics // shared by the workers of a process

	BatchRows     int           // most events of a batch; default 50,000
	BatchBytes    int           // most bytes of a batch's events; default 24 MiB
	Linger        time.Duration // how long a batch waits to fill; default 200 ms
	Idle          time.Duration // how long a read waits for a first event; default 1 s
	Takeover      time.Duration // how long a rival's ledger must stand still before its work is taken over; default 15 s
	InsightMaxAge time.Duration // how old an event may be, when the log receives it, to raise an insight; default 72 h
	DedupCapacity int           // identities kept in memory; default 2,000,000, at most 150 MB
	StepBudget    time.Duration // how long the work on one event may take before it becomes a dead letter; default 2 s
	RepairTurn    time.Duration // how long a repair goes on before it gives way to a worker; default 5 s
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
	DefaultStepBudget    = 2 * time.Second // ten thousand times what a long text takes
	DefaultRepairTurn    = 5 * time.Second // a worker that was pushed aside needs one to three to come back
)

// Worker owns one shard, as long as no other worker takes it.
type Worker struct {
	cfg Config

	ledger schemas.Ledger
	cp     schemas.Checkpoint // the newest committed checkpoint, zero values before the first

	refused  bool   // the store refused a row in this session, so the set of known identities holds one that is not stored
	strays   uint64 // up to here the table may have rows that no plan accounts for; 0: it has none
	repaired uint64 // rows inserted because a read-back showed that they were missing
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
	cfg.StepBudget = defaulted(cfg.StepBudget, DefaultStepBudget)
	cfg.RepairTurn = defaulted(cfg.RepairTurn, DefaultRepairTurn)
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
			w.cfg.Logger.Warn().Err(err).Msg("the ledger of this shard was written by somebody else, as another worker or a switch of generations would: standing by")
			w.standBy(ctx)
			continue
		case errors.Is(err, errRefused), errors.Is(err, errMoved):
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
	pause := min(step, heldPoll) // a switch of generations is seen at once, and is no rival
	for ctx.Err() == nil && still < w.cfg.Takeover {
		wait(ctx, pause)
		pause = step
		l, err := w.cfg.Log.Load(ctx)
		if err == nil && (w.moved(&l) || yielded(l.Plan)) {
			return
		}
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
	prep, err := w.begin(ctx)
	if err != nil {
		return err
	}
	if err := w.findStrays(ctx); err != nil {
		return err
	}
	if err := w.resume(ctx, prep); err != nil {
		return err
	}
	if w.refused {
		return errRefused
	}
	if w.cp.Moving != 0 {
		return w.held(ctx)
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

// begin makes the preparer for what is not committed yet, and sees to it that what is committed is in the table. It looks
// at the table in this order because a row that is lost in between would be missing from the set of known identities too.
func (w *Worker) begin(ctx context.Context) (*preparer, error) {
	for {
		before := w.cp.Hi + 1
		p := w.ledger.Plan
		if p != nil && p.Repair { // its last insert may still be under way
			if _, err := w.recheck(ctx); err != nil {
				return nil, err
			}
			if err := w.unrepair(ctx); err != nil {
				return nil, err
			}
		}
		if w.unfinished() {
			before = w.ledger.Plan.Lo
		}
		prep, err := w.newPreparer(ctx, before)
		if err != nil {
			return nil, err
		}
		repaired, err := w.recheck(ctx)
		if err != nil || !repaired {
			return prep, err
		}
	}
}

// load reads the ledger and holds it against the stream.
func (w *Worker) load(ctx context.Context) error {
	l, err := w.cfg.Log.Load(ctx)
	if err != nil {
		return fmt.Errorf("load the ledger: %w", err)
	}
	if err := recognise(ctx, w.cfg.Log, &l); err != nil {
		return fmt.Errorf("shard %d: %w", w.cfg.Shard, err)
	}
	w.ledger = l
	w.cp = schemas.Checkpoint{Epoch: w.cfg.Log.Epoch(), Shard: w.cfg.Shard, Generation: w.cfg.Generation}
	p := l.Plan
	switch {
	case l.Checkpoint == nil:
		return w.found(ctx)
	case l.Checkpoint.Outcomes > 0 && p == nil: // which outcomes are still to be published, only the plan told
		return w.rebuild(ctx)
	case p == nil || !p.Repair && p.Hi < l.Checkpoint.Hi: // every checkpoint has a plan before it
		w.cp = *l.Checkpoint
		return w.salt(ctx)
	}
	w.cp = *l.Checkpoint
	return nil
}

// found makes the first checkpoint of a shard, or, where the table has rows of it, that of one whose ledger is lost. Since
// a plan always comes before its rows, rows that are seen before the ledger is still found without a checkpoint were
// planned in a ledger that is lost.
func (w *Worker) found(ctx context.Context) error {
	last, err := w.cfg.Store.MaxSeq(ctx, w.whole(1, math.MaxInt64))
	if err != nil {
		return fmt.Errorf("look for rows without a ledger: %w", err)
	}
	first, err := w.cfg.Log.First(ctx)
	if err != nil {
		return fmt.Errorf("find where the log begins: %w", err)
	}
	l, err := w.cfg.Log.Load(ctx)
	if err != nil {
		return fmt.Errorf("load the ledger: %w", err)
	}
	switch {
	case l.PlanSeq != w.ledger.PlanSeq || l.Checkpoint != nil:
		return schemas.ErrLost // a rival has just begun
	case last > 0 || l.Plan != nil || first > 1:
		return w.rebuild(ctx)
	}
	return w.salt(ctx)
}
