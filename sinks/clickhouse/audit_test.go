package clickhouse_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/clickhouse"
)

// placed returns rows of one month with the epoch and the sequences given.
func placed(epoch string, seqs []uint64) []schemas.Row {
	rows := generate(uint64(len(seqs)), len(seqs), 1)
	for i := range rows {
		rows[i].Epoch, rows[i].Seq = epoch, seqs[i]
		rows[i].Seal(nil)
	}
	return rows
}

// runs is the oracle of Absent.
func runs(have map[uint64]bool, lo, hi uint64) (out [][2]uint64) {
	for s := lo; s <= hi; s++ {
		if n := len(out); have[s] {
			continue
		} else if n > 0 && out[n-1][1] == s-1 {
			out[n-1][1] = s
		} else {
			out = append(out, [2]uint64{s, s})
		}
	}
	return out
}

func TestAbsentListsTheRunsWithoutARow(t *testing.T) {
	const chunk = 1 << 20
	rnd := rand.New(rand.NewPCG(5, 6))
	var scattered []uint64
	for s := uint64(1); s <= 400; s++ {
		if rnd.IntN(3) > 0 {
			scattered = append(scattered, s)
		}
	}
	s := open(t)
	for i, c := range []struct {
		claim  string
		seqs   []uint64
		lo, hi uint64
	}{
		{"none of an empty table", nil, 1, 10},
		{"none where all are there", []uint64{1, 2, 3}, 1, 3},
		{"at both ends", []uint64{3, 4}, 1, 6},
		{"in the middle, in a part of the range", []uint64{1, 2, 5, 9}, 2, 8},
		{"a doubled row is one", []uint64{2, 2, 3}, 1, 3},
		{"scattered", scattered, 1, 400},
		{"scattered, in a part of the range", scattered, 57, 311},
		{"across a border of chunks", []uint64{1, chunk - 1, chunk + 3, 2*chunk + 1}, 1, 2*chunk + 2},
		{"whole chunks and a part of one", []uint64{7}, 5, 3*chunk + 9},
	} {
		all := schemas.Range{Epoch: strconv.Itoa(i), Generation: 1, Lo: c.lo, Hi: c.hi}
		if len(c.seqs) > 0 {
			insert(t, s, placed(all.Epoch, c.seqs))
		}
		have := map[uint64]bool{}
		for _, seq := range c.seqs {
			have[seq] = true
		}
		var got [][2]uint64
		for r, err := range s.Absent(t.Context(), all) {
			if err != nil {
				t.Fatalf("%s: %v", c.claim, err)
			}
			want := all
			if want.Lo, want.Hi = r.Lo, r.Hi; r != want {
				t.Errorf("%s: %+v, want the range's own names in it", c.claim, r)
			}
			got = append(got, [2]uint64{r.Lo, r.Hi})
		}
		if want := runs(have, c.lo, c.hi); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", c.claim, got, want)
		}
		for range s.Absent(t.Context(), all) {
			break // whoever has seen enough may stop
		}
	}
}

func TestTallyCountsRowsAndSequencesOfARange(t *testing.T) {
	s := open(t)
	insert(t, s, generate(4, 100, 1))
	if err := s.Insert(t.Context(), generate(4, 5, 1), "again"); err != nil {
		t.Fatal(err)
	}
	other := generate(5, 3, 900)
	for i := range other {
		other[i].Shard = 1
	}
	insert(t, s, other)
	for _, c := range []struct {
		claim               string
		r                   schemas.Range
		rows, distinct, top uint64
	}{
		{"all", whole(1, 100), 105, 100, 100},
		{"from behind the doubled ones", whole(6, 50), 45, 45, 100},
		{"an empty range still knows the top", whole(1, 0), 0, 0, 100},
		{"of another epoch", schemas.Range{Epoch: "x", Generation: 1, Lo: 1, Hi: 100}, 0, 0, 0},
	} {
		rows, distinct, top, err := s.Tally(t.Context(), c.r)
		if err != nil || rows != c.rows || distinct != c.distinct || top != c.top {
			t.Errorf("%s: %d rows, %d sequences, top %d (%v), want %d, %d, %d", c.claim, rows, distinct, top, err, c.rows, c.distinct, c.top)
		}
	}
}

func TestRepeatsCountsEventsStoredTwiceWhereverTheyAre(t *testing.T) {
	s := open(t)
	rows := generate(6, 30, 1)
	insert(t, s, rows)
	if n, err := s.Repeats(t.Context(), 1); err != nil || n != 0 {
		t.Errorf("%d repeats (%v), want none", n, err)
	}
	again := slices.Clone(rows[:4])
	for i := range again {
		again[i].Seq += 1000
		again[i].Shard = uint16(i % 2)
	}
	insert(t, s, again)
	if err := s.Insert(t.Context(), rows[20:25], "doubled"); err != nil { // not repeats, but doubled rows
		t.Fatal(err)
	}
	if n, err := s.Repeats(t.Context(), 1); err != nil || n != 4 {
		t.Errorf("%d repeats (%v), want 4", n, err)
	}
	if n, err := s.Repeats(t.Context(), 2); err != nil || n != 0 {
		t.Errorf("%d repeats of another generation (%v), want none", n, err)
	}
}

func TestHoldersTellWhereAnIdentityIs(t *testing.T) {
	s := open(t)
	rows := generate(2, 30, 1)
	for i := range rows[:10] {
		rows[i].Shard = 3
	}
	insert(t, s, rows[:10])
	insert(t, s, rows[10:20])
	if err := s.Insert(t.Context(), rows[15:16], "again"); err != nil {
		t.Fatal(err)
	}
	got, err := s.Holders(t.Context(), 1, epoch, 0, ids(rows))
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		at, stored := got[rows[i].ID]
		want := map[bool]schemas.Holder{true: {Seq: uint64(i + 1)}, false: {Elsewhere: true}}[i >= 10]
		if stored != (i < 20) || stored && at != want {
			t.Errorf("row %d: stored %v at %v, want %v at %v", i, stored, at, i < 20, want)
		}
	}
}

// Months are compared as a whole, in any number, and a fresh table has none.
func TestSuspectHoursCoversAllMonths(t *testing.T) {
	s := open(t)
	if hours, suspects, err := s.SuspectHours(t.Context(), 1); err != nil || hours != 0 || len(suspects) != 0 {
		t.Errorf("of an empty table: %d hours, %v, %v", hours, suspects, err)
	}
	for month := range 3 {
		rows := generate(uint64(month), 400, uint64(month*400+1))
		for i := range rows {
			rows[i].Event.Time = rows[i].Event.Time.AddDate(0, -month, 0)
		}
		insert(t, s, rows)
	}
	want := text(t, s, "SELECT uniqExact(toStartOfHour(occurred_at)) FROM feedback")
	hours, suspects, err := s.SuspectHours(t.Context(), 1)
	if err != nil || len(suspects) != 0 || text(t, s, "SELECT "+strconv.Itoa(hours)) != want {
		t.Errorf("%d hours, suspects %v (%v), want %s and none", hours, suspects, err, want)
	}
	groups, differences, err := s.CompareHour(t.Context(), 1, start)
	if n := text(t, s, "SELECT uniqExact(tenant, channel, kind, actor_kind) FROM feedback WHERE toStartOfHour(occurred_at) = '2026-11-03 00:00:00'"); err != nil || differences != 0 || strconv.Itoa(groups)+"\n" != n {
		t.Errorf("%d groups, %d differ (%v), want %s and 0", groups, differences, err, n)
	}
	if faults, err := s.CheckTable(t.Context()); err != nil || len(faults) != 0 {
		t.Errorf("a table as this program makes it: %v, %q", err, faults)
	}
	if err := clickhouse.Exec(t.Context(), s, "ALTER TABLE feedback MODIFY SETTING non_replicated_deduplication_window = 20000"); err != nil {
		t.Fatal(err)
	}
	if faults, err := s.CheckTable(t.Context()); err != nil || len(faults) != 0 {
		t.Errorf("a longer window than wanted: %v, %q", err, faults)
	}
}
