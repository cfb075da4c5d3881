package worker

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/processors/dedup"
	"github.com/earshot/earshot/schemas"
)

// batch is a range of the log and what became of every event in it.
type batch struct {
	lo, hi  uint64 // the range, both included; lo is one more than the end of the range before
	rows    []schemas.Row
	dups    []uint64 // sequences
	dead    []dead   // in the order of the log
	records []schemas.Record
	ids     []schemas.EventID // of the records; zero where one has none

	erased  uint64        // rows of the range whose messages are gone from the log because their customers were erased
	repair  bool          // the range was committed before: see Worker.repair
	partial bool          // of a repair: what is stored of the range is not in it
	pending *schemas.Plan // of a repair: the plan it interrupts
}

// dead is an event that will be a dead letter.
type dead struct {
	record schemas.Record
	reason schemas.Reason
	detail string // what a person needs to mend it
	code   int    // of the store, where it refused the event and gave one
}

// preparer turns records of the log into batches. It owns the set of known identities, so batches must be prepared in
// the order of the log, each once.
type preparer struct {
	w          *Worker
	generation uint32 // of the rows; a copy, because the worker's checkpoint moves while the next batch is prepared
	version    int    // of the customer keys in it
	seen       *dedup.Set
	anywhere   bool // an event stored under a later sequence is a duplicate too: see Worker.repairer
}

// newPreparer rebuilds the set of known identities from the store: those of rows before the sequence that is prepared
// first.
func (w *Worker) newPreparer(ctx context.Context, before uint64) (*preparer, error) {
	limit := w.cfg.DedupCapacity
	batch := uint64(w.cfg.BatchRows)
	if w.unfinished() { // its author may have had larger batches
		batch = max(batch, w.ledger.Plan.Hi-w.ledger.Plan.Lo+1)
	}
	ids, err := w.cfg.Store.Recent(ctx, w.cp.Generation, w.cfg.Log.Epoch(), w.cfg.Shard, before, limit)
	if err != nil {
		return nil, fmt.Errorf("rebuild the set of known events: %w", err)
	}
	version, err := keyVersion(ctx, w.cfg.Keys, w.cfg.Keyer, w.cp.Generation)
	if err != nil {
		return nil, err
	}
	p := &preparer{w: w, generation: w.cp.Generation, version: version, seen: dedup.NewSet(max(limit, dedup.MinCapacity(int(batch))), len(ids) < limit)}
	for i := len(ids) - 1; i >= 0; i-- { // oldest first, so that the newest stay longest
		p.seen.Add(ids[i])
	}
	return p, nil
}

// stream prepares batch after batch behind the sequence, one ahead of its reader. The batch channel is closed when it
// stops; the error channel then says why.
func (p *preparer) stream(ctx context.Context, after uint64) (<-chan *batch, <-chan error) {
	out, failed := make(chan *batch), make(chan error, 1)
	go func() {
		defer close(out)
		for {
			b, err := p.next(ctx, after)
			if err != nil {
				failed <- err
				return
			}
			if b == nil {
				continue
			}
			after = b.hi
			select {
			case out <- b:
			case <-ctx.Done():
				failed <- ctx.Err()
				return
			}
		}
	}()
	return out, failed
}

// next reads and prepares the records after the sequence; nil: there were none.
func (p *preparer) next(ctx context.Context, after uint64) (*batch, error) {
	cfg := &p.w.cfg
	records, err := cfg.Log.Read(ctx, after, cfg.BatchRows, cfg.BatchBytes, cfg.Idle, cfg.Linger)
	if err != nil {
		return nil, fmt.Errorf("read the log after %d: %w", after, err)
	}
	if len(records) == 0 {
		return nil, ctx.Err()
	}
	return p.prepare(ctx, after, records)
}

// prepare decodes, deduplicates, classifies and measures the records.
func (p *preparer) prepare(ctx context.Context, after uint64, records []schemas.Record) (*batch, error) {
	began := time.Now()
	b := &batch{lo: after + 1, hi: records[len(records)-1].Seq, records: records}
	events := make([]*schemas.Event, len(records))
	ids := make([]schemas.EventID, len(records))
	faults := make([]*dead, len(records))
	p.steps(len(records), records, faults, func(n int) int { return n }, func(i int) *dead {
		e, problems := schemas.DecodeRecord(&records[i])
		if e != nil && len(problems) == 0 {
			problems = e.Misplaced(records[i].Subject)
		}
		if len(problems) > 0 {
			return &dead{record: records[i], reason: problems.Reason(), detail: problems.Error()}
		}
		events[i], ids[i] = e, e.Identity()
		return nil
	})
	fresh, err := p.fresh(ctx, b, records, ids, faults)
	if err != nil {
		return nil, err
	}
	rows := make([]schemas.Row, len(fresh))
	overtime := p.steps(len(fresh), records, faults, func(n int) int { return fresh[n] }, func(n int) *dead {
		i := fresh[n]
		p.row(&rows[n], events[i], ids[i], &records[i])
		return nil
	})
	kept := rows[:0]
	if overtime {
		kept = nil // a step that was left behind may still write to its place in rows
	}
	for n, i := range fresh {
		if faults[i] == nil {
			kept = append(kept, rows[n])
		}
	}
	revise(ctx, p.w.cfg.Classifier, kept, p.w.cfg.Logger)
	b.rows, b.ids = kept, ids
	for _, f := range faults {
		if f != nil {
			b.dead = append(b.dead, *f)
		}
	}
	for _, i := range fresh {
		if faults[i] != nil { // it will not be stored after all
			p.seen.Forget(ids[i])
			b.follow(*faults[i])
		}
	}
	b.sortDead()
	p.w.cfg.Metrics.prepared(time.Since(began))
	return b, nil
}

// fresh goes through the events in the order of the log and returns the places of those never seen before.
func (p *preparer) fresh(ctx context.Context, b *batch, records []schemas.Record, ids []schemas.EventID, faults []*dead) ([]int, error) {
	had := make([]bool, len(ids)) // in the set now: adding this batch to it may make it let some of them go
	for i := range ids {
		had[i] = faults[i] == nil && p.seen.Has(ids[i])
	}
	var stored map[schemas.EventID]struct{}
	if !p.seen.Complete() {
		unknown := make([]schemas.EventID, 0, len(ids))
		for i := range ids {
			if faults[i] == nil && !had[i] {
				unknown = append(unknown, ids[i])
			}
		}
		var err error
		if stored, err = p.w.cfg.Store.Known(ctx, p.generation, p.w.cfg.Log.Epoch(), p.w.cfg.Shard, p.known(b), unknown); err != nil {
			return nil, fmt.Errorf("look up known events: %w", err)
		}
	}
	fresh := make([]int, 0, len(records))
	for i := range records {
		if faults[i] != nil {
			continue
		}
		if _, old := stored[ids[i]]; p.seen.Seen(ids[i]) || had[i] || old {
			b.dups = append(b.dups, records[i].Seq)
		} else {
			fresh = append(fresh, i)
		}
	}
	return fresh, nil
}

// row makes the row of one event in place.
func (p *preparer) row(r *schemas.Row, e *schemas.Event, id schemas.EventID, rec *schemas.Record) {
	cfg := &p.w.cfg
	*r = schemas.Row{
		Event: e, ID: id,
		CustomerKey: cfg.Keyer.KeyAt(p.version, e.Tenant, e.Customer()),
		Epoch:       cfg.Log.Epoch(),
		Shard:       uint16(cfg.Shard),
		Seq:         rec.Seq,
		Generation:  p.generation,
		ReceivedAt:  rec.Time.UTC().Truncate(time.Millisecond),
	}
	if e.Kind == schemas.FeedbackDeleted {
		e.Data.Text = "" // it was taken back
	}
	cfg.Masker.Event(e, cfg.Keyer) // before it is classified: mentions point into what is stored
	label(r, cfg.Classifier)
}

// steps runs a step for each of n events; at says which record the n-th is of. A step that panics or outlasts the budget
// makes a dead letter of its event, so that one event cannot take its neighbours along. It reports whether one outlasted
// the budget.
func (p *preparer) steps(n int, records []schemas.Record, faults []*dead, at func(n int) int, step func(n int) *dead) (overtime bool) {
	budget := p.w.cfg.StepBudget
	found := make([]*dead, n)
	each(n, budget,
		func(n int) { found[n] = guard(&records[at(n)], func() *dead { return step(n) }) },
		func(n int) { faults[at(n)] = found[n] },
		func(n int) {
			overtime = true
			rec := &records[at(n)]
			p.w.cfg.Logger.Error().Uint64("seq", rec.Seq).Dur("budget", budget).Msg("an event took too long: it becomes a dead letter")
			faults[at(n)] = &dead{record: *rec, reason: schemas.ReasonBudget, detail: fmt.Sprintf("not done within %v", budget)}
		})
	return overtime
}

// guard runs one event's step and turns a panic into a dead letter.
func guard(rec *schemas.Record, step func() *dead) (d *dead) {
	defer func() {
		if p := recover(); p != nil {
			stack := make([]byte, 2<<10)
			stack = stack[:runtime.Stack(stack, false)]
			d = &dead{record: *rec, reason: schemas.ReasonPanic, detail: fmt.Sprintf("%v; %s", p, strings.ReplaceAll(string(stack), "\n", " | "))}
		}
	}()
	return step()
}

// bury makes the row with this sequence a dead letter, because the store refuses it with this error.
func (b *batch) bury(seq uint64, refusal error) {
	r := slices.IndexFunc(b.rows, func(r schemas.Row) bool { return r.Seq == seq })
	at, ok := slices.BinarySearchFunc(b.records, seq, func(r schemas.Record, seq uint64) int { return cmp.Compare(r.Seq, seq) })
	if r < 0 || !ok {
		return
	}
	b.rows = slices.Concat(b.rows[:r], b.rows[r+1:])
	d := dead{record: b.records[at], reason: schemas.ReasonSink, detail: refusal.Error(), code: code(refusal)}
	b.dead = append(b.dead, d)
	b.follow(d)
	b.sortDead()
}

// follow makes dead letters of the events that were taken for duplicates of one that is dead: they repeat nothing that is
// stored.
func (b *batch) follow(d dead) {
	at := func(seq uint64) int {
		i, _ := slices.BinarySearchFunc(b.records, seq, func(r schemas.Record, seq uint64) int { return cmp.Compare(r.Seq, seq) })
		return i
	}
	id := b.ids[at(d.record.Seq)]
	b.dups = slices.DeleteFunc(b.dups, func(seq uint64) bool {
		i := at(seq)
		if b.ids[i] != id {
			return false
		}
		again := d
		again.record = b.records[i]
		b.dead = append(b.dead, again)
		return true
	})
}

func (b *batch) sortDead() {
	slices.SortFunc(b.dead, func(x, y dead) int { return cmp.Compare(x.record.Seq, y.record.Seq) })
}

// holds says whether the batch has a record with this sequence.
func (b *batch) holds(seq uint64) bool {
	_, ok := slices.BinarySearchFunc(b.records, seq, func(r schemas.Record, seq uint64) int { return cmp.Compare(r.Seq, seq) })
	return ok
}

// revive takes a dead event back, because the table has its row; false: the event is not among the dead.
func (b *batch) revive(seq uint64) bool {
	at := slices.IndexFunc(b.dead, func(d dead) bool { return d.record.Seq == seq })
	if at < 0 {
		return false
	}
	b.dead = slices.Delete(b.dead, at, at+1)
	return true
}
