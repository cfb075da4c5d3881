package clickhouse_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/clickhouse"
)

func whole(lo, hi uint64) schemas.Range {
	return schemas.Range{Epoch: epoch, Shard: 0, Generation: 1, Lo: lo, Hi: hi, Month: 202611}
}

func TestReadBackProvesWhatWasInserted(t *testing.T) {
	s := open(t)
	rows := generate(1, 500, 1)
	insert(t, s, rows[:300])
	insert(t, s, rows[300:])
	for _, c := range []struct {
		claim string
		r     schemas.Range
		want  []schemas.Row
	}{
		{"the whole range", whole(1, 500), rows},
		{"a range inside one insert", whole(10, 20), rows[9:20]},
		{"a range across both inserts", whole(299, 302), rows[298:302]},
		{"any month", schemas.Range{Epoch: epoch, Generation: 1, Lo: 1, Hi: 1<<63 - 1}, rows},
		{"beyond the end", whole(501, 900), nil},
		{"another month", schemas.Range{Epoch: epoch, Generation: 1, Lo: 1, Hi: 500, Month: 202610}, nil},
		{"another epoch", schemas.Range{Epoch: "other'", Generation: 1, Lo: 1, Hi: 500}, nil},
		{"another shard", schemas.Range{Epoch: epoch, Shard: 1, Generation: 1, Lo: 1, Hi: 500}, nil},
		{"another generation", schemas.Range{Epoch: epoch, Generation: 2, Lo: 1, Hi: 500}, nil},
	} {
		n, digest, err := s.ReadBack(t.Context(), c.r)
		if err != nil {
			t.Fatalf("%s: %v", c.claim, err)
		}
		if want := schemas.SumDigests(c.want); n != uint64(len(c.want)) || digest != want {
			t.Errorf("%s: got %d rows with digest %d, want %d with %d", c.claim, n, digest, len(c.want), want)
		}
		stored, err := s.Stored(t.Context(), c.r)
		if err != nil {
			t.Fatalf("%s: %v", c.claim, err)
		}
		var want []schemas.Stored
		for i := range c.want {
			at := c.want[i].Event.Time.UTC()
			want = append(want, schemas.Stored{Seq: c.want[i].Seq, ID: c.want[i].ID, Month: at.Year()*100 + int(at.Month()), Digest: c.want[i].Digest})
		}
		if !slices.Equal(stored, want) {
			t.Errorf("%s: got rows %v, want %v", c.claim, stored, want)
		}
	}
}

func ids(rows []schemas.Row) []schemas.EventID {
	out := make([]schemas.EventID, len(rows))
	for i := range rows {
		out[i] = rows[i].ID
	}
	return out
}

func TestKnownFindsIdentitiesWhereverTheyAre(t *testing.T) {
	s := open(t)
	rows := generate(2, 5000, 1)
	elsewhere := rows[:10]
	for i := range elsewhere {
		elsewhere[i].Shard = 3
	}
	insert(t, s, rows[:10])
	insert(t, s, rows[10:4000])
	for _, c := range []struct {
		claim      string
		generation uint32
		epoch      string
		shard      int
		before     uint64
		ask        []schemas.Row
		want       []schemas.Row
	}{
		{"what is stored before the range is known, in more than one chunk", 1, epoch, 0, 1 << 62, rows, rows[:4000]},
		{"the range itself is left out", 1, epoch, 0, 2001, rows, rows[:2000]},
		{"but only of its own shard", 1, epoch, 0, 1, rows, rows[:10]},
		{"of another shard all is known", 1, epoch, 7, 1, rows, rows[:4000]},
		{"of another generation nothing", 2, epoch, 0, 1 << 62, rows, nil},
		{"of another epoch all is known, whatever its sequence", 1, "newer", 0, 1, rows, rows[:4000]},
		{"of nothing nothing", 1, epoch, 0, 1 << 62, nil, nil},
	} {
		got, err := s.Known(t.Context(), c.generation, c.epoch, c.shard, c.before, ids(c.ask))
		if err != nil {
			t.Fatalf("%s: %v", c.claim, err)
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: %d are known, want %d", c.claim, len(got), len(c.want))
		}
		for i := range c.want {
			if _, ok := got[c.want[i].ID]; !ok {
				t.Errorf("%s: sequence %d is not known", c.claim, c.want[i].Seq)
				break
			}
		}
	}
}

func TestRecentIsNewestFirst(t *testing.T) {
	s := open(t)
	rows := generate(3, 300, 1)
	for i := range rows {
		rows[i].ReceivedAt = start.Add(time.Duration(i/7) * time.Second) // several in one moment
	}
	insert(t, s, rows[:100])
	insert(t, s, rows[100:])
	for _, c := range []struct {
		claim  string
		epoch  string
		shard  int
		before uint64
		limit  int
		want   []schemas.Row
	}{
		{"the newest", epoch, 0, 1 << 62, 1, rows[299:]},
		{"the newest fifty", epoch, 0, 1 << 62, 50, rows[250:]},
		{"all, where there are fewer than asked for", epoch, 0, 1 << 62, 1000, rows},
		{"only those before a sequence", epoch, 0, 201, 50, rows[150:200]},
		{"all of another epoch", "newer", 0, 1, 1000, rows},
		{"none of a shard without rows", epoch, 5, 1 << 62, 10, nil},
	} {
		got, err := s.Recent(t.Context(), 1, c.epoch, c.shard, c.before, c.limit)
		if err != nil {
			t.Fatalf("%s: %v", c.claim, err)
		}
		want := ids(c.want)
		if slices.Reverse(want); !slices.Equal(got, want) {
			t.Errorf("%s: got %d identities, want %d, the rows backwards", c.claim, len(got), len(want))
		}
	}
}

func TestCountTellsRowsFromSequences(t *testing.T) {
	s := open(t)
	rows := generate(4, 100, 1)
	insert(t, s, rows)
	if err := s.Insert(t.Context(), rows[:5], "again"); err != nil {
		t.Fatal(err)
	}
	n, distinct, err := s.Count(t.Context(), 1, epoch, 0, 50)
	if err != nil || n != 55 || distinct != 50 {
		t.Errorf("up to 50: %d rows, %d sequences (%v), want 55 and 50", n, distinct, err)
	}
	last, err := s.MaxSeq(t.Context(), schemas.Range{Epoch: epoch, Generation: 1, Lo: 1, Hi: 1 << 62})
	if err != nil || last != 100 {
		t.Errorf("the last sequence is %d (%v), want 100", last, err)
	}
	if last, err := s.MaxSeq(t.Context(), schemas.Range{Epoch: "another", Generation: 1, Lo: 1, Hi: 1 << 62}); err != nil || last != 0 {
		t.Errorf("the last sequence of an epoch without rows is %d (%v), want 0", last, err)
	}
}

func TestKillReturnsWhenTheQueryIsGone(t *testing.T) {
	s := open(t)
	if err := s.Kill(t.Context(), "nobody's"); err != nil {
		t.Errorf("killing what does not run: %v", err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- clickhouse.ExecAs(context.Background(), s, "slow'one", "SELECT sleepEachRow(0.05) FROM numbers(4000) SETTINGS max_block_size = 1 FORMAT Null")
	}()
	const running = "SELECT count() FROM system.processes WHERE query_id = 'slow\\'one'"
	for text(t, s, running) != "1\n" {
		select {
		case err := <-ended:
			t.Fatalf("the query to be killed ended by itself: %v", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	if err := s.Kill(t.Context(), "slow'one"); err != nil {
		t.Fatal(err)
	}
	if got := text(t, s, running); got != "0\n" {
		t.Errorf("after the kill %s are running", got)
	}
	if err := <-ended; err == nil {
		t.Error("the killed query ended well")
	} else if class, _ := clickhouse.Classify(err); class != clickhouse.Retryable {
		t.Errorf("to its owner the kill is %s, want retryable: %v", class, err)
	}
}

// A range must be found without reading the table: by its partition, and by the index on seq within it.
func TestRangesAreFoundByTheirIndexes(t *testing.T) {
	s := open(t)
	for month := range 3 {
		rows := generate(uint64(month), 100, uint64(month*100+1))
		for i := range rows {
			rows[i].Event.Time = rows[i].Event.Time.AddDate(0, month, 0)
		}
		insert(t, s, rows)
	}
	plan := text(t, s, "EXPLAIN indexes = 1 SELECT count(), sum(digest) FROM feedback WHERE "+clickhouse.Condition(whole(1, 50)))
	for _, want := range []string{"Parts: 1/3", "by_seq"} {
		if !strings.Contains(plan, want) {
			t.Errorf("the plan of a read-back lacks %q:\n%s", want, plan)
		}
	}
	plan = text(t, s, "EXPLAIN indexes = 1 SELECT count(), sum(digest) FROM feedback WHERE "+clickhouse.Condition(schemas.Range{Epoch: epoch, Generation: 1, Lo: 101, Hi: 200}))
	if !strings.Contains(plan, "by_seq") || !strings.Contains(plan, "Parts: 1/3") {
		t.Errorf("a range without its month is not found by the index on seq:\n%s", plan)
	}
	plan = text(t, s, "EXPLAIN indexes = 1 SELECT event_id FROM feedback WHERE generation = 1 AND event_id IN ('"+generate(1, 1, 101)[0].ID.String()+"')")
	if !strings.Contains(plan, "by_event") || !strings.Contains(plan, "Parts: 1/3") {
		t.Errorf("an identity is not found by its index:\n%s", plan)
	}
}
