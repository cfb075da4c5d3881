package worker

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/earshot/earshot/schemas"
)

// maxPasses is how often a build goes after the rows that came in meanwhile before the workers are held for the rest,
// however much it is: where events come in faster than they are classified again, it would never get close.
const maxPasses = 20

// chase brings in what there is until little comes in meanwhile.
func (r *Reclassifier) chase(ctx context.Context) error {
	if r.rec.Change.Plan != nil {
		if err := r.resume(ctx); err != nil {
			return err
		}
	}
	for pass := 1; ; pass++ {
		n, err := r.catchUp(ctx)
		if err != nil || n < r.cfg.BatchRows || pass == maxPasses {
			return err
		}
	}
}

// catchUp brings in all rows that are committed now and says how many there were.
func (r *Reclassifier) catchUp(ctx context.Context) (n int, err error) {
	ends, err := r.ends(ctx)
	if err != nil {
		return 0, err
	}
	rekey, err := r.rekeying(ctx, r.rec.Change.To)
	if err != nil {
		return 0, err
	}
	for _, end := range ends {
		at := r.place(end.Shard, end.Epoch)
		for r.rec.Change.Places[at].Hi < end.Hi {
			rows, reached, err := r.cfg.Table.Rows(ctx, r.source(at, r.rec.Change.Places[at].Hi+1, end.Hi), r.cfg.BatchRows, r.cfg.BatchBytes)
			if err != nil {
				return n, err
			}
			if err := r.bring(ctx, at, rows, r.transform(ctx, rows, rekey), reached, nil); err != nil {
				return n, err
			}
			n += len(rows)
			r.progress()
		}
	}
	return n, nil
}

// ends says up to where the rows of each stream count: to the checkpoint of its shard, since what is behind it may still be
// planned anew, or, of a stream that is no longer written, to its last row.
func (r *Reclassifier) ends(ctx context.Context) ([]schemas.Place, error) {
	ends, err := r.cfg.Table.Places(ctx, r.rec.Live)
	if err != nil {
		return nil, err
	}
	r.all = 0
	for i := range ends {
		e := &ends[i]
		r.all += e.Rows
		if e.Shard >= len(r.cfg.Shards) || e.Epoch != r.cfg.Shards[e.Shard].Epoch() {
			continue
		}
		l, err := r.cfg.Shards[e.Shard].Load(ctx)
		if err != nil {
			return nil, err
		}
		e.Hi = 0
		if l.Checkpoint != nil {
			e.Hi = l.Checkpoint.Hi
		}
	}
	return ends, nil
}

// place finds the place of a stream, from the beginning where it has none.
func (r *Reclassifier) place(shard int, epoch string) int {
	places := &r.rec.Change.Places
	at := slices.IndexFunc(*places, func(p schemas.Place) bool { return p.Shard == shard && p.Epoch == epoch })
	if at < 0 {
		at = len(*places)
		*places = append(*places, schemas.Place{Shard: shard, Epoch: epoch})
	}
	return at
}

// source is a range of a stream's rows in the live generation.
func (r *Reclassifier) source(at int, lo, hi uint64) schemas.Range {
	p := &r.rec.Change.Places[at]
	return schemas.Range{Epoch: p.Epoch, Shard: p.Shard, Generation: r.rec.Live, Lo: lo, Hi: hi}
}

// bring brings the rows between a place and reached into the generation: PLAN, INSERT, VERIFY, and the place as COMMIT.
// former is the plan of the same range that these rows take the place of, nil where there is none.
func (r *Reclassifier) bring(ctx context.Context, at int, rows []schemas.Row, made labelled, reached uint64, former *schemas.Plan) error {
	c := r.rec.Change
	p := &c.Places[at]
	if len(rows) > 0 {
		groups := parts(rows)
		c.Plan = &schemas.Plan{
			Epoch: p.Epoch, Shard: p.Shard, Generation: c.To, Lo: p.Hi + 1, Hi: reached,
			SHA256: schemas.HashDigests(rows), Parts: planParts(groups, 0, former),
		}
		if err := r.save(ctx); err != nil {
			return err
		}
		if err := r.insert(ctx, groups, former == nil); err != nil {
			return r.doubt(ctx, fmt.Errorf("bring rows into generation %d: %w", c.To, err))
		}
	}
	return r.commit(ctx, at, made, uint64(len(rows)), reached)
}

func (r *Reclassifier) commit(ctx context.Context, at int, made labelled, rows, reached uint64) error {
	c := r.rec.Change
	c.Places[at].Hi, c.Places[at].Rows = reached, c.Places[at].Rows+rows
	c.Labels = made.addTo(c.Labels)
	c.Failed += made.failed
	c.Plan = nil
	return r.save(ctx)
}

// insert brings the rows of the plan in. Where it is the first to send any of them, a clean reply is proof; in every other
// case the table is asked.
func (r *Reclassifier) insert(ctx context.Context, groups [][]schemas.Row, fresh bool) error {
	p := r.rec.Change.Plan
	in := &inserter{Config{Store: r.cfg.Table, Logger: r.cfg.Logger, Shard: p.Shard}, func(ctx context.Context, p *schemas.Plan) error {
		r.rec.Change.Plan = p
		return r.save(ctx)
	}, func(int) {}}
	if fresh {
		err := in.insert(ctx, p, groups)
		if err == nil || permanent(err) || ctx.Err() != nil {
			return err
		}
		r.cfg.Logger.Warn().Err(err).Uint64("lo", p.Lo).Uint64("hi", p.Hi).Msg("insert is unsure: reading back")
	}
	return in.settleAll(ctx, p, groups)
}

// resume ends the plan that a former run has left, whose fate is unknown: the same rows are made again and brought in
// where they are missing. Rows that turn out otherwise, because some were erased meanwhile, take the place of what there
// is of the plan.
func (r *Reclassifier) resume(ctx context.Context) error {
	c := r.rec.Change
	p := c.Plan
	at := r.place(p.Shard, p.Epoch)
	rows, reached, err := r.cfg.Table.Rows(ctx, r.source(at, p.Lo, p.Hi), int(p.Hi-p.Lo)+1, math.MaxInt)
	if err != nil {
		return err
	}
	rekey, err := r.rekeying(ctx, r.rec.Change.To)
	if err != nil {
		return err
	}
	made := r.transform(ctx, rows, rekey)
	if reached == p.Hi && schemas.HashDigests(rows) == p.SHA256 {
		if err := r.insert(ctx, parts(rows), false); err != nil {
			return r.doubt(ctx, fmt.Errorf("bring rows into generation %d: %w", c.To, err))
		}
		return r.commit(ctx, at, made, uint64(len(rows)), p.Hi)
	}
	for i := range p.Parts {
		part := &p.Parts[i]
		if err := r.cfg.Table.Kill(ctx, token(p, part)); err != nil {
			return err
		}
		found, _, err := r.cfg.Table.ReadBack(ctx, planRange(p, part.Month))
		if err != nil {
			return err
		}
		if found > 0 { // its token is spent; one that brought nothing in stays, so that what is late cannot land beside ours
			part.Attempt++
		}
	}
	if err := r.cfg.Table.Delete(ctx, planRange(p, 0)); err != nil {
		return err
	}
	return r.bring(ctx, at, rows, made, p.Hi, p)
}

// labelled is what a transformation did to rows.
type labelled struct {
	changes map[schemas.Relabelled]uint64 // Rows left zero
	failed  uint64
}

// transform makes rows of the live generation rows of the new one, in place: classified again, or, on the way back and
// once the switch has begun, as they are. Their customers get the keys of the new one.
func (r *Reclassifier) transform(ctx context.Context, rows []schemas.Row, rekey func(key, tenant string) string) labelled {
	c := r.rec.Change
	for i := range rows {
		rows[i].CustomerKey = rekey(rows[i].CustomerKey, rows[i].Event.Tenant)
	}
	if !c.Carry && !c.Moving {
		return relabel(ctx, rows, c.To, r.cfg.Labeller, r.cfg.Logger)
	}
	parallel(len(rows), func(i int) {
		rows[i].Generation = c.To
		seal(&rows[i])
	})
	return labelled{}
}

// relabel classifies rows again and counts what changed. A row whose classification panics keeps its labels: the new
// generation has the events of the old one, every one of them.
func relabel(ctx context.Context, rows []schemas.Row, generation uint32, by Labeller, log zerolog.Logger) labelled {
	was := make([]schemas.Labels, len(rows))
	var failed atomic.Uint64
	parallel(len(rows), func(i int) {
		row := &rows[i]
		was[i] = row.Labels
		row.Generation = generation
		if d := guard(&schemas.Record{}, func() *dead { label(row, by); return nil }); d != nil {
			row.Labels = was[i]
			seal(row)
			failed.Add(1)
		}
	})
	revise(ctx, by, rows, log)
	out := labelled{map[schemas.Relabelled]uint64{}, failed.Load()}
	for i := range rows {
		a, b := &was[i], &rows[i].Labels
		out.changes[schemas.Relabelled{Axis: "polarity", Was: string(a.Polarity), Is: string(b.Polarity)}]++
		out.changes[schemas.Relabelled{Axis: "intent", Was: string(a.Intent), Is: string(b.Intent)}]++
		out.changes[schemas.Relabelled{Axis: "element", Was: string(a.Element), Is: string(b.Element)}]++
	}
	return out
}

// addTo adds the counts to others.
func (l labelled) addTo(to []schemas.Relabelled) []schemas.Relabelled {
	for key, n := range l.changes {
		at := slices.IndexFunc(to, func(x schemas.Relabelled) bool { return x.Axis == key.Axis && x.Was == key.Was && x.Is == key.Is })
		if at < 0 {
			at = len(to)
			to = append(to, key)
		}
		to[at].Rows += n
	}
	slices.SortFunc(to, func(a, b schemas.Relabelled) int {
		return cmp.Or(cmp.Compare(a.Axis, b.Axis), cmp.Compare(a.Was, b.Was), cmp.Compare(a.Is, b.Is))
	})
	return to
}

// Compare classifies rows without storing anything and says what would change.
func Compare(ctx context.Context, rows []schemas.Row, by Labeller) []schemas.Relabelled {
	return relabel(ctx, rows, 0, by, zerolog.Nop()).addTo(nil)
}

// verify holds the two generations against each other, stream by stream: rows, and if whole also whether every one of them
// is there once.
func (r *Reclassifier) verify(ctx context.Context, whole bool) error {
	for at, p := range r.rec.Change.Places {
		source := r.source(at, 0, p.Hi)
		want, _, err := r.cfg.Table.ReadBack(ctx, source)
		if err != nil {
			return err
		}
		source.Generation = r.rec.Change.To
		have, _, err := r.cfg.Table.ReadBack(ctx, source)
		if err != nil {
			return err
		}
		distinct := have
		if whole {
			if _, distinct, err = r.cfg.Table.Count(ctx, source.Generation, p.Epoch, p.Shard, p.Hi); err != nil {
				return err
			}
		}
		if have != want || distinct != have {
			return r.doubt(ctx, fmt.Errorf("shard %d up to %d: generation %d has %d rows of %d sequences, generation %d has %d rows: nothing is switched; run 'earshot reconcile'; 'earshot reclassify --discard' gives the new generation up",
				p.Shard, p.Hi, source.Generation, have, distinct, r.rec.Live, want))
		}
	}
	return nil
}

func (r *Reclassifier) progress() {
	if r.cfg.Progress == nil {
		return
	}
	var done uint64
	for _, p := range r.rec.Change.Places {
		done += p.Rows
	}
	r.cfg.Progress(done, max(done, r.all))
}
