package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/earshot/earshot/processors/privacy"
	"github.com/earshot/earshot/schemas"
)

// Record keeps the one record of the generations.
type Record interface {
	// Load returns the record and its sequence, 0 where there is none.
	Load(ctx context.Context) (schemas.Generations, uint64, error)
	// Save replaces the record if its sequence is still expect, else fails with [schemas.ErrLost].
	Save(ctx context.Context, r schemas.Generations, expect uint64) (uint64, error)
	// Alive says whether the process that can be asked at the inbox is alive.
	Alive(ctx context.Context, inbox string) (bool, error)
}

// Table is the fact table as one needs it who makes a generation of another.
type Table interface {
	Store
	// Places says how far the rows of each stream reach in a generation.
	Places(ctx context.Context, generation uint32) ([]schemas.Place, error)
	// Count counts a stream's rows up to a sequence, and their different sequences.
	Count(ctx context.Context, generation uint32, epoch string, shard int, upTo uint64) (rows, distinct uint64, err error)
	// Delete removes the rows of a range.
	Delete(ctx context.Context, r schemas.Range) error
	// Generations lists those that have rows.
	Generations(ctx context.Context) ([]uint32, error)
	// Drop removes all rows of a generation.
	Drop(ctx context.Context, generation uint32) error
	// Note records what became of a generation, for people and for the schema.
	Note(ctx context.Context, generation uint32, state, model string) error
	// Live is the generation that is recorded as live.
	Live(ctx context.Context) (uint32, error)
	// SetLive records another one and makes the views show it, in one step for their readers; again, it changes nothing.
	SetLive(ctx context.Context, generation uint32) error
}

// ReclassifyConfig is what a [Reclassifier] needs.
type ReclassifyConfig struct {
	Record   Record
	Table    Table
	Shards   []Log // of all shards, in order; their ledgers are used, not their events
	Keyer    *privacy.Keyer
	Keys     KeyVersions // nil: all generations have the first version
	Labeller Labeller    // makes the labels of a new generation; nil: none can be built
	// Settle finishes the open plan of a shard that no worker is at work on; nil: a worker has to.
	Settle func(ctx context.Context, shard int) error
	Alone  bool // there are no workers, so that none is waited for
	Owner  string
	Inbox  string // at which this process answers
	Logger zerolog.Logger

	BatchRows  int           // most rows of a range; default 20,000
	BatchBytes int           // about the most bytes of its rows; default 24 MiB
	Takeover   time.Duration // how long a ledger must stand still before its plan is finished for it; default 15 s
	// Progress is told how many rows are brought in, of how many; nil: nobody is.
	Progress func(done, all uint64)
}

// DefaultReclassifyRows is half of what a worker takes at a time, because a reclassification reads its rows as well.
const DefaultReclassifyRows = 20_000

// Reclassifier builds a generation of the rows beside the live one, and switches from one to another. It belongs to one
// goroutine. Every method can be called again, by this process or another, after it was cut off anywhere: it goes on where
// the record says that it stood.
type Reclassifier struct {
	cfg ReclassifyConfig
	rec schemas.Generations
	seq uint64
	all uint64 // rows of the live generation, for the progress
}

// NewReclassifier does nothing yet.
func NewReclassifier(cfg ReclassifyConfig) *Reclassifier {
	cfg.BatchRows = defaulted(cfg.BatchRows, DefaultReclassifyRows)
	cfg.BatchBytes = defaulted(cfg.BatchBytes, DefaultBatchBytes)
	cfg.Takeover = defaulted(cfg.Takeover, DefaultTakeover)
	return &Reclassifier{cfg: cfg}
}

// What keeps a reclassification from being done.
var (
	// ErrMoving says that a switch has begun, which has to be finished before anything else: see [Reclassifier.Finish].
	ErrMoving = errors.New("a switch of generations has begun and is not finished: run 'earshot reclassify' to finish it")
	// ErrNoWayBack says that there is no former generation to go back to.
	ErrNoWayBack = errors.New("there is no former generation to go back to: none was live before this one, or its rows were dropped")
)

// State returns the record as it is now.
func (r *Reclassifier) State(ctx context.Context) (schemas.Generations, error) {
	err := r.load(ctx)
	return r.rec, err
}

func (r *Reclassifier) load(ctx context.Context) (err error) {
	if r.rec, r.seq, err = r.cfg.Record.Load(ctx); err != nil || r.seq > 0 {
		return err
	}
	// Nothing was ever built, or the record is lost. No number of which there are rows may be given again.
	if r.rec.Live, err = r.cfg.Table.Live(ctx); err != nil {
		return err
	}
	r.rec.Newest = r.rec.Live
	there, err := r.cfg.Table.Generations(ctx)
	for _, g := range there {
		r.rec.Newest = max(r.rec.Newest, g)
	}
	return err
}

func (r *Reclassifier) save(ctx context.Context) (err error) {
	r.seq, err = r.cfg.Record.Save(ctx, r.rec, r.seq)
	if errors.Is(err, schemas.ErrLost) {
		return fmt.Errorf("another process has taken the generations over: %w", err)
	}
	return err
}

// own makes what is under way this process's work, unless the process whose work it is answers. From then on that one can
// record nothing any more, and what it may still insert has a token that is inserted, or looked for, before the work goes on.
// What the caller does not want is left alone: a node that only finishes switches must not seem to be at a build.
func (r *Reclassifier) own(ctx context.Context, wanted func(*schemas.Generation) bool) error {
	if err := r.load(ctx); err != nil {
		return err
	}
	c := r.rec.Change
	if c == nil || c.Owner == r.cfg.Owner || !wanted(c) {
		return nil
	}
	alive, err := r.cfg.Record.Alive(ctx, c.Inbox)
	switch {
	case err != nil:
		return err
	case alive:
		return fmt.Errorf("generation %d: %w", c.To, schemas.ErrBuilding)
	}
	c.Owner, c.Inbox = r.cfg.Owner, r.cfg.Inbox
	return r.save(ctx)
}

// doubt looks again before it believes that the stores contradict the record: it may be the record of this process that is
// old, because another has gone on in its place.
func (r *Reclassifier) doubt(ctx context.Context, err error) error {
	if _, seq, lerr := r.cfg.Record.Load(ctx); lerr == nil && seq != r.seq {
		return fmt.Errorf("another process has taken the generations over: %w", schemas.ErrLost)
	}
	return err
}

func anything(*schemas.Generation) bool { return true }

// Build brings every committed row of the live generation, classified again, into a new one, and follows the workers until
// it is close behind them. A build that was cut off is gone on with, if the classifier is the same; if it is another, what
// was built is dropped and another generation is begun.
func (r *Reclassifier) Build(ctx context.Context) error {
	if r.cfg.Labeller == nil {
		return errors.New("there is no classifier to build a generation with")
	}
	if err := r.own(ctx, anything); err != nil {
		return err
	}
	model := r.cfg.Labeller.Model()
	c := r.rec.Change
	switch {
	case c != nil && c.Moving:
		return ErrMoving
	case c != nil && !c.Carry && c.Model == model:
		r.cfg.Logger.Warn().Uint32("generation", c.To).Msg("going on with the generation that a former run began")
		return r.chase(ctx)
	}
	if err := r.begin(ctx, schemas.Generation{To: r.rec.Newest + 1, Model: model}); err != nil {
		return err
	}
	return r.chase(ctx)
}

// Return brings the rows that the live generation has got since the last switch into the one that was live before, with
// the labels they have: that one is then complete again, and [Reclassifier.Switch] goes back to it.
func (r *Reclassifier) Return(ctx context.Context) error {
	if err := r.own(ctx, anything); err != nil {
		return err
	}
	c := r.rec.Change
	switch {
	case c != nil && c.Moving:
		return ErrMoving
	case r.rec.Previous == 0:
		return ErrNoWayBack
	case c != nil && c.Carry:
		return r.chase(ctx)
	}
	if _, err := r.rekeying(ctx, r.rec.Previous); err != nil {
		return err
	}
	if err := r.begin(ctx, schemas.Generation{To: r.rec.Previous, Carry: true}); err != nil {
		return err
	}
	return r.chase(ctx)
}

// Discard gives up what is being built and drops its rows. The live generation and the one that is kept stay as they are.
func (r *Reclassifier) Discard(ctx context.Context) error {
	if err := r.own(ctx, anything); err != nil {
		return err
	}
	if c := r.rec.Change; c != nil && c.Moving {
		return ErrMoving
	}
	return r.discard(ctx)
}

func (r *Reclassifier) discard(ctx context.Context) error {
	c := r.rec.Change
	switch {
	case c == nil:
		return nil
	case c.Carry && c.Plan != nil:
		// The way back must hold whole ranges only: where it ends is read off its last row.
		if err := r.resume(ctx); err != nil {
			return err
		}
	}
	r.rec.Change = nil
	if err := r.save(ctx); err != nil {
		return err
	}
	if c.Carry {
		return nil
	}
	r.cfg.Logger.Warn().Uint32("generation", c.To).Str("model", c.Model).Msg("what was built of this generation is dropped")
	return r.drop(ctx, c.To)
}

// begin records that a generation is being built, in place of what was.
func (r *Reclassifier) begin(ctx context.Context, g schemas.Generation) error {
	if err := r.discard(ctx); err != nil {
		return err
	}
	g.Owner, g.Inbox, g.Began = r.cfg.Owner, r.cfg.Inbox, time.Now().UTC()
	if g.Carry {
		var err error
		if g.Places, err = r.cfg.Table.Places(ctx, g.To); err != nil {
			return err
		}
	}
	r.rec.Change, r.rec.Newest = &g, max(r.rec.Newest, g.To)
	if err := r.save(ctx); err != nil || g.Carry {
		return err
	}
	if r.cfg.Keys != nil && r.cfg.Keyer != nil {
		if err := r.cfg.Keys.NoteKeyVersion(ctx, g.To, r.cfg.Keyer.Version()); err != nil {
			return err
		}
	}
	return r.cfg.Table.Note(ctx, g.To, "building", g.Model)
}

func (r *Reclassifier) drop(ctx context.Context, generation uint32) error {
	if err := r.cfg.Table.Drop(ctx, generation); err != nil {
		return err
	}
	return r.cfg.Table.Note(ctx, generation, "dropped", "")
}

// Prune drops the rows of generations that are neither live, nor being built, nor kept for going back, and of the one that
// is kept once it has been so for the grace. It returns what it dropped.
func (r *Reclassifier) Prune(ctx context.Context, now time.Time, grace time.Duration) ([]uint32, error) {
	if err := r.load(ctx); err != nil {
		return nil, err
	}
	c := r.rec.Change
	if c != nil && c.Moving {
		return nil, ErrMoving
	}
	if now.Sub(r.rec.Since) >= grace && (c == nil || !c.Carry) {
		r.rec.Previous = 0
	}
	// Before anything is dropped: from here on nobody begins to go back to what is about to go, and what is begun has a
	// higher number than this record knows.
	if err := r.save(ctx); err != nil {
		return nil, err
	}
	keep := map[uint32]bool{r.rec.Live: true, r.rec.Previous: true}
	if c != nil {
		keep[c.To] = true
	}
	for _, log := range r.cfg.Shards {
		l, err := log.Load(ctx)
		if err != nil {
			return nil, err
		}
		if l.Checkpoint != nil {
			keep[l.Checkpoint.Generation] = true
		}
	}
	there, err := r.cfg.Table.Generations(ctx)
	if err != nil {
		return nil, err
	}
	var dropped []uint32
	for _, g := range there {
		if keep[g] || g > r.rec.Newest {
			continue
		}
		if err := r.drop(ctx, g); err != nil {
			return dropped, err
		}
		dropped = append(dropped, g)
	}
	return dropped, nil
}
