package audit

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/earshot/earshot/schemas"
)

// moment is what ledger and table hold at one time.
type moment struct {
	ledger schemas.Ledger
	seqs   []uint64 // of the rows, each with digest 1
}

// history plays moments: each question that is asked moves time on by one, so that whatever may happen between two
// questions happens. The last moment stays.
type history struct {
	moments []moment
	asked   int
}

func (h *history) next() moment {
	m := h.moments[min(h.asked, len(h.moments)-1)]
	h.asked++
	return m
}

func (h *history) Epoch() string { return "e" }

func (h *history) Load(context.Context) (schemas.Ledger, error) { return h.next().ledger, nil }

func (h *history) Tally(_ context.Context, r schemas.Range) (rows, distinct, top uint64, err error) {
	seen := map[uint64]bool{}
	for _, s := range h.next().seqs {
		if s >= r.Lo && s <= r.Hi {
			rows++
			seen[s] = true
		}
		top = max(top, s)
	}
	return rows, uint64(len(seen)), top, nil
}

func (h *history) ReadBack(_ context.Context, r schemas.Range) (rows, digest uint64, err error) {
	for _, s := range h.next().seqs {
		if s >= r.Lo && s <= r.Hi {
			rows++
		}
	}
	return rows, rows, nil
}

func upto(n uint64) []uint64 {
	var out []uint64
	for s := uint64(1); s <= n; s++ {
		out = append(out, s)
	}
	return out
}

// at is a ledger with a checkpoint and a plan behind it; others are events counted as duplicates.
func at(generation uint32, hi, others, planned uint64) schemas.Ledger {
	l := schemas.Ledger{Checkpoint: &schemas.Checkpoint{Epoch: "e", Generation: generation, Hi: hi, Stored: hi - others, Duplicates: others}}
	if planned > hi {
		l.Plan = &schemas.Plan{Epoch: "e", Generation: generation, Lo: hi + 1, Hi: planned, Parts: []schemas.Part{{Month: 202611, Rows: planned - hi, Digest: planned - hi}}}
	}
	return l
}

func TestCheck(t *testing.T) {
	committed := at(1, 4, 0, 9)
	committed.Checkpoint = at(1, 9, 0, 0).Checkpoint // the plan 5–9 is committed
	other := at(1, 5, 0, 0)
	other.Checkpoint.Epoch = "older"
	skipped := at(1, 8, 0, 0)
	skipped.Checkpoint.Stored = 5
	for _, c := range []struct {
		claim  string
		proven schemas.Checkpoint
		play   []moment
		want   []Fault // kinds and numbers
	}{
		{"an empty shard is right", schemas.Checkpoint{}, []moment{{}}, nil},
		{"rows up to the checkpoint are right", schemas.Checkpoint{}, []moment{{at(1, 5, 0, 0), upto(5)}}, nil},
		{"duplicates have no rows", schemas.Checkpoint{}, []moment{{at(1, 7, 2, 0), upto(5)}}, nil},
		{"a plan under way may have its rows", schemas.Checkpoint{}, []moment{{at(1, 5, 0, 9), upto(8)}}, nil},
		{"or none", schemas.Checkpoint{}, []moment{{at(1, 5, 0, 9), upto(5)}}, nil},
		{"what is planned and stored after the ledger was loaded is no fault", schemas.Checkpoint{},
			[]moment{{at(1, 5, 0, 0), upto(5)}, {at(1, 5, 0, 9), upto(9)}, {at(1, 5, 0, 9), upto(9)}, {at(1, 9, 0, 0), upto(9)}, {at(1, 9, 0, 12), upto(12)}}, nil},
		{"what is planned and stored between two looks is no fault either", schemas.Checkpoint{},
			[]moment{{at(1, 5, 0, 0), upto(5)}, {at(1, 5, 0, 9), upto(9)}, {at(1, 5, 0, 9), upto(9)}, {at(1, 9, 0, 12), upto(12)}}, nil},
		{"a generation that is switched and dropped between two questions is none", schemas.Checkpoint{},
			[]moment{{at(1, 5, 0, 0), upto(5)}, {at(2, 5, 0, 0), nil}, {at(2, 5, 0, 0), nil}, {at(2, 5, 0, 0), upto(5)}}, nil},
		{"a missing row is a gap", schemas.Checkpoint{}, []moment{{at(1, 5, 0, 0), upto(4)}}, []Fault{{Gap, 1, ""}}},
		{"a doubled row that hides a missing one is found with it", schemas.Checkpoint{}, []moment{{at(1, 5, 0, 0), []uint64{1, 2, 3, 3, 4}}}, []Fault{{Gap, 1, ""}, {Duplicates, 1, ""}}},
		{"a row of a duplicate is a surplus", schemas.Checkpoint{}, []moment{{at(1, 5, 1, 0), upto(5)}}, []Fault{{Surplus, 1, ""}}},
		{"rows behind the newest plan are beyond it", schemas.Checkpoint{}, []moment{{at(1, 5, 0, 7), upto(9)}}, []Fault{{Beyond, 2, ""}}},
		{"rows without a ledger are beyond it", schemas.Checkpoint{}, []moment{{schemas.Ledger{}, upto(5)}}, []Fault{{Beyond, 5, ""}}},
		{"a committed plan is read back", schemas.Checkpoint{}, []moment{{committed, upto(9)}}, nil},
		{"and found to lack rows", schemas.Checkpoint{}, []moment{{committed, upto(7)}}, []Fault{{Gap, 2, ""}, {Changed, 2, ""}}},
		{"events that left the log unseen are missing too", schemas.Checkpoint{}, []moment{{skipped, upto(5)}}, []Fault{{Skipped, 3, ""}, {Gap, 3, ""}}},
		{"a ledger of another stream is not counted by", schemas.Checkpoint{}, []moment{{other, upto(5)}}, []Fault{{Epoch, 0, ""}}},
		{"what was proven is not looked at again", schemas.Checkpoint{Epoch: "e", Generation: 1, Hi: 5, Stored: 5}, []moment{{at(1, 9, 1, 0), []uint64{6, 7, 9}}}, nil},
		{"what is new is", schemas.Checkpoint{Epoch: "e", Generation: 1, Hi: 5, Stored: 5}, []moment{{at(1, 9, 1, 0), []uint64{6, 7}}}, []Fault{{Gap, 1, ""}}},
		{"what was proven of another generation is not proven", schemas.Checkpoint{Epoch: "e", Generation: 2, Hi: 5, Stored: 5}, []moment{{at(1, 6, 0, 0), []uint64{6}}}, []Fault{{Gap, 5, ""}}},
		{"nor what lies behind a ledger that went back", schemas.Checkpoint{Epoch: "e", Generation: 1, Hi: 9, Stored: 9}, []moment{{at(1, 5, 0, 0), upto(9)}}, []Fault{{Beyond, 4, ""}}},
	} {
		h := &history{moments: c.play}
		v, err := Check(t.Context(), 0, h, h, c.proven)
		if err != nil {
			t.Fatalf("%s: %v", c.claim, err)
		}
		got := slices.Clone(v.Faults)
		for i := range got {
			if got[i].Text == "" {
				t.Errorf("%s: %s has no text", c.claim, got[i].Kind)
			}
			got[i].Text = ""
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: found %v, want %v", c.claim, got, c.want)
		}
	}
}

// Whatever is taken away and doubled, the numbers say how much.
func TestCheckCounts(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		hi := 1 + rnd.Uint64N(40)
		var seqs []uint64
		var others, gone, doubled uint64
		for s := uint64(1); s <= hi; s++ {
			switch rnd.IntN(5) {
			case 0:
				others++
			case 1:
				gone++
			case 2:
				doubled++
				seqs = append(seqs, s)
				fallthrough
			default:
				seqs = append(seqs, s)
			}
		}
		h := &history{moments: []moment{{at(1, hi, others, 0), seqs}}}
		v, err := Check(t.Context(), 0, h, h, schemas.Checkpoint{})
		if err != nil || v.Gap != gone || v.Duplicates != doubled || v.OK() != (gone+doubled == 0) {
			t.Fatalf("%d of %d gone and %d doubled: %+v (%v)", gone, hi, doubled, v, err)
		}
	}
}
