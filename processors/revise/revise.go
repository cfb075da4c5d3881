// Package revise lets changed and deleted feedback take effect.
//
// An event passes through here after it was stored. feedback.updated and feedback.deleted are rows of their own, like every
// event; they name the event that they change, which may be a change itself. [Reviser.Step] finds the ones that came in,
// gathers everything that was said in the place of the same first event, and lets the newest count: the others are marked as
// superseded, and the newest is told what was said first was, so that clocks and threads take it for that, with new words.
// After a deletion nothing counts, whatever was said when and came in before or after it: all are emptied. No row
// is added or removed, so the books stay as they were, and the marks follow from the rows alone, in any order of arrival:
// whoever is cut off does the same again. The view of the rows that count leaves marked ones out.
//
// It refuses to guess: a change of an event that is not there waits for it. And it refuses changes of what others said: one
// by another source or on another channel than the event that it names has no effect, and is counted.
package revise

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/earshot/earshot/schemas"
)

// Table is the fact table.
type Table interface {
	// Live is the generation that views show.
	Live(ctx context.Context) (uint32, error)
	// CountRevisions counts the changes and deletions of a generation; it is cheap.
	CountRevisions(ctx context.Context, generation uint32) (uint64, error)
	// Revisions lists the changes and deletions that the log received since a time, in any order.
	Revisions(ctx context.Context, generation uint32, since time.Time) ([]schemas.Revision, error)
	// Versions lists all rows that belong to the named events: what was said first, everything that was said in its place, and
	// in the place of that; each once.
	Versions(ctx context.Context, generation uint32, refs []schemas.Revision) ([]schemas.Revision, error)
	// Supersede marks rows as no longer counting.
	Supersede(ctx context.Context, rows []schemas.Trace) error
	// Adopt lets changes take over, from what was said first, when and where that was and of what kind.
	Adopt(ctx context.Context, generation uint32, rows []schemas.Adoption) error
	// TakeBack takes everything out of rows but their places and the identity of what was said first.
	TakeBack(ctx context.Context, rows []schemas.Withdrawal) error
}

// overlap is how much of the time before the last look is looked at again: rows become visible in another order than that
// in which the log received them.
const overlap = 10 * time.Minute

// recheck is how often everything is looked at again: what a change names may come in after it.
const recheck = time.Hour

// Reviser lets changes take effect. It belongs to one goroutine; several on one table do the same twice, and no harm.
type Reviser struct {
	table   Table
	live    uint32
	count   uint64
	since   time.Time // the newest receipt that was seen
	checked time.Time // when everything was looked at last
	waiting map[name]schemas.Revision
	foreign map[schemas.Trace]struct{} // changes without effect
}

// name is what versions of one event have in common.
type name struct{ tenant, ref string }

// New returns a reviser.
func New(table Table) *Reviser {
	return &Reviser{table: table, waiting: map[name]schemas.Revision{}, foreign: map[schemas.Trace]struct{}{}}
}

// Foreign counts the changes that have no effect because the event that they name is of another source or channel, of those
// looked at since everything was looked at last.
func (r *Reviser) Foreign() int { return len(r.foreign) }

// Step lets what has come in since the last step take effect, and says how many rows no longer count because of it.
func (r *Reviser) Step(ctx context.Context, now time.Time) (marked int, err error) {
	live, err := r.table.Live(ctx)
	if err != nil {
		return 0, err
	}
	if live != r.live || now.Sub(r.checked) >= recheck { // rows of another generation may have been made before they were marked
		*r = *New(r.table)
		r.live, r.checked = live, now
	}
	n, err := r.table.CountRevisions(ctx, live)
	if err != nil || n == r.count && len(r.waiting) == 0 {
		return 0, err
	}
	since := r.since
	if !since.IsZero() {
		since = since.Add(-overlap)
	}
	revisions, err := r.table.Revisions(ctx, live, since)
	if err != nil {
		return 0, err
	}
	refs := map[name]schemas.Revision{}
	for _, v := range revisions {
		refs[name{v.Tenant, v.Ref}] = v
		if v.Received.After(r.since) {
			r.since = v.Received
		}
	}
	for k, v := range r.waiting {
		refs[k] = v
	}
	list := make([]schemas.Revision, 0, len(refs))
	for _, v := range refs {
		list = append(list, v)
	}
	const chunk = 2000
	for some := range slices.Chunk(list, chunk) {
		m, err := r.settle(ctx, live, some)
		if marked += m; err != nil {
			r.count = 0 // all of it again
			return marked, err
		}
	}
	r.count = n - min(n, uint64(marked)) // marked changes are counted no more
	if m, err := r.table.CountRevisions(ctx, live); err == nil {
		r.count = min(r.count, m)
	}
	return marked, nil
}

// settle decides about the versions of some events.
func (r *Reviser) settle(ctx context.Context, live uint32, refs []schemas.Revision) (marked int, err error) {
	versions, err := r.table.Versions(ctx, live, refs)
	if err != nil {
		return 0, err
	}
	l := newLineage(versions)
	var old []schemas.Trace
	var gone []schemas.Withdrawal
	var adopted []schemas.Adoption
	for family, own := range l.families() {
		newest, o, g := losers(own)
		if newest != nil && l.strange(newest, family.root) {
			adopted = append(adopted, schemas.Adoption{Trace: newest.Trace, First: family.root})
		}
		old = append(old, o...)
		for _, trace := range g {
			gone = append(gone, schemas.Withdrawal{Trace: trace, First: family.root})
		}
	}
	for trace := range l.foreign {
		r.foreign[trace] = struct{}{}
	}
	for _, ref := range refs {
		k := name{ref.Tenant, ref.Ref}
		if l.rooted(ref.Tenant, ref.Ref) {
			delete(r.waiting, k)
		} else {
			r.waiting[k] = ref
		}
	}
	if len(adopted) > 0 { // before the old ones are marked: meanwhile the same is there twice, and not in two places
		if err := r.table.Adopt(ctx, live, adopted); err != nil {
			return 0, err
		}
	}
	if len(old) > 0 {
		if err := r.table.Supersede(ctx, old); err != nil {
			return 0, err
		}
	}
	if len(gone) > 0 {
		if err := r.table.TakeBack(ctx, gone); err != nil {
			return 0, err
		}
	}
	return len(old) + len(gone), nil
}

// losers are the versions of one event that count no longer and are not marked yet: after a deletion all, else all but the
// newest, by when it was said, then by when it was received. What was said first is never newer than a change of it. newest
// is nil after a deletion, and where there is one version only.
func losers(versions []schemas.Revision) (newest *schemas.Revision, old, gone []schemas.Trace) {
	deleted := slices.ContainsFunc(versions, func(v schemas.Revision) bool {
		return v.Kind == schemas.FeedbackDeleted || v.Gone != (schemas.EventID{})
	})
	versions = slices.DeleteFunc(versions, func(v schemas.Revision) bool { return v.Kind == schemas.FeedbackDeleted || v.Kind == schemas.Erased })
	if deleted {
		for _, v := range versions {
			gone = append(gone, v.Trace)
		}
		return nil, nil, gone
	}
	if len(versions) < 2 {
		return nil, nil, nil
	}
	last := slices.MaxFunc(versions, func(a, b schemas.Revision) int {
		edit := func(v *schemas.Revision) int {
			if v.Edit() {
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(edit(&a), edit(&b)), a.Said.Compare(b.Said), a.Received.Compare(b.Received), cmp.Compare(a.Seq, b.Seq))
	})
	for _, v := range versions {
		if v.Trace != last.Trace && v.Kind != schemas.Superseded {
			old = append(old, v.Trace)
		}
	}
	return &last, old, nil
}
