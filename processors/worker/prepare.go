package worker

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/processors/dedup"
	"github.com/earshot/earshot/processors/measure"
	"github.com/earshot/earshot/schemas"
)

// batch is a range of the log and what became of every event in it.
type batch struct {
	lo, hi  uint64 // the range, both included; lo is one more than the end of the range before
	rows    []schemas.Row
	dups    []uint64 // sequences
	dead    []dead   // in the order of the log
	records []schemas.Record
}

// dead is an event that will be a dead letter.
type dead struct {
	record schemas.Record
	reason schemas.Reason
	detail string // what a person needs to mend it
}

// preparer turns records of the log into batches. It owns the set of known identities, so batches must be prepared in
// the order of the log, each once.
type preparer struct {
	w          *Worker
	generation uint32 // of the rows; a copy, because the worker's checkpoint moves while the next batch is prepared
	seen       *dedup.Set
}

// newPreparer rebuilds the set of known identities from the store: those of rows before the range that is prepared first,
// which is the range of an unfinished plan if there is one.
func (w *Worker) newPreparer(ctx context.Context) (*preparer, error) {
	limit := w.cfg.DedupCapacity
	before := w.cp.Hi + 1
	if w.unfinished() {
		before = w.ledger.Plan.Lo
	}
	ids, err := w.cfg.Store.Recent(ctx, w.cp.Generation, w.cfg.Log.Epoch(), w.cfg.Shard, before, limit)
	if err != nil {
		return nil, fmt.Errorf("rebuild the set of known events: %w", err)
	}
	p := &preparer{w: w, generation: w.cp.Generation, seen: dedup.NewSet(limit, len(ids) < limit)}
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
	parallel(len(records), func(i int) {
		faults[i] = guard(&records[i], func() *dead {
			e, problems := schemas.DecodeRecord(&records[i])
			if len(problems) > 0 {
				return &dead{records[i], problems.Reason(), problems.Error()}
			}
			events[i], ids[i] = e, e.Identity()
			return nil
		})
	})
	fresh, err := p.fresh(ctx, b, records, ids, faults)
	if err != nil {
		return nil, err
	}
	rows := make([]schemas.Row, len(fresh))
	parallel(len(fresh), func(n int) {
		i := fresh[n]
		faults[i] = guard(&records[i], func() *dead {
			p.row(&rows[n], events[i], ids[i], &records[i])
			return nil
		})
	})
	kept := rows[:0]
	for n, i := range fresh {
		if faults[i] == nil {
			kept = append(kept, rows[n])
		}
	}
	b.rows = kept
	for _, f := range faults {
		if f != nil {
			b.dead = append(b.dead, *f)
		}
	}
	p.w.cfg.Metrics.prepared(time.Since(began))
	return b, nil
}

// fresh goes through the events in the order of the log and returns the places of those never seen before.
func (p *preparer) fresh(ctx context.Context, b *batch, records []schemas.Record, ids []schemas.EventID, faults []*dead) ([]int, error) {
	var stored map[schemas.EventID]struct{}
	if !p.seen.Complete() {
		unknown := make([]schemas.EventID, 0, len(ids))
		for i := range ids {
			if faults[i] == nil && !p.seen.Has(ids[i]) {
				unknown = append(unknown, ids[i])
			}
		}
		var err error
		if stored, err = p.w.cfg.Store.Known(ctx, p.generation, p.w.cfg.Log.Epoch(), p.w.cfg.Shard, b.lo, unknown); err != nil {
			return nil, fmt.Errorf("look up known events: %w", err)
		}
	}
	fresh := make([]int, 0, len(records))
	for i := range records {
		if faults[i] != nil {
			continue
		}
		if _, old := stored[ids[i]]; p.seen.Seen(ids[i]) || old {
			b.dups = append(b.dups, records[i].Seq)
		} else {
			fresh = append(fresh, i)
		}
	}
	return fresh, nil
}

// row makes the row of one event in place.
func (p *preparer) row(r *schemas.Row, e *schemas.Event, id schemas.EventID, rec *schemas.Record) {
	d, cfg := &e.Data, &p.w.cfg
	*r = schemas.Row{
		Event: e, ID: id,
		CustomerKey: cfg.Keyer.Key(e.Tenant, e.Customer()),
		Epoch:       cfg.Log.Epoch(),
		Shard:       uint16(cfg.Shard),
		Seq:         rec.Seq,
		Generation:  p.generation,
		ReceivedAt:  rec.Time.UTC().Truncate(time.Millisecond),
	}
	r.Labels = cfg.Classifier.Classify(classify.Input{
		Text: d.Text, Language: d.Language, Kind: e.Kind, Channel: d.Channel, FieldType: d.FieldType,
		QuestionText: d.QuestionText, StageHint: d.StageHint, ActorKind: d.ActorKind,
		ElementHint: d.ElementHint, S5Hint: d.S5Hint, Rating: measure.Rating(e),
	})
	r.Scores = measure.Measure(e, &r.Labels)
	var scratch [1 << 10]byte // on the stack; longer rows move to the heap by themselves
	r.Seal(scratch[:0])
}

// guard runs one event's step and turns a panic into a dead letter, so that one event cannot take its neighbours along.
func guard(rec *schemas.Record, step func() *dead) (d *dead) {
	defer func() {
		if p := recover(); p != nil {
			stack := make([]byte, 2<<10)
			stack = stack[:runtime.Stack(stack, false)]
			d = &dead{*rec, schemas.ReasonPanic, fmt.Sprintf("%v; %s", p, strings.ReplaceAll(string(stack), "\n", " | "))}
		}
	}()
	return step()
}

// parallel calls f for 0 … n−1 on all cores, in runs long enough that handing them out costs nothing.
func parallel(n int, f func(i int)) {
	const run = 256
	workers := min(runtime.GOMAXPROCS(0), (n+run-1)/run)
	if workers <= 1 {
		for i := range n {
			f(i)
		}
		return
	}
	var wg sync.WaitGroup
	share := (n + workers - 1) / workers
	for lo := 0; lo < n; lo += share {
		wg.Go(func() {
			for i := lo; i < min(lo+share, n); i++ {
				f(i)
			}
		})
	}
	wg.Wait()
}

// bury makes the row with this sequence a dead letter, because the store refuses it.
func (b *batch) bury(seq uint64, detail string) {
	r := slices.IndexFunc(b.rows, func(r schemas.Row) bool { return r.Seq == seq })
	at, ok := slices.BinarySearchFunc(b.records, seq, func(r schemas.Record, seq uint64) int { return cmp.Compare(r.Seq, seq) })
	if r < 0 || !ok {
		return
	}
	b.rows = slices.Concat(b.rows[:r], b.rows[r+1:])
	b.dead = append(b.dead, dead{b.records[at], schemas.ReasonSink, detail})
	slices.SortFunc(b.dead, func(x, y dead) int { return cmp.Compare(x.record.Seq, y.record.Seq) })
}
