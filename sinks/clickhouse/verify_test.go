package clickhouse_test

import (
	"slices"
	"testing"

	"github.com/earshot/earshot/schemas"
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
		seqs, err := s.Seqs(t.Context(), c.r)
		if err != nil {
			t.Fatalf("%s: %v", c.claim, err)
		}
		var want []uint64
		for i := range c.want {
			want = append(want, c.want[i].Seq)
		}
		if !slices.Equal(seqs, want) {
			t.Errorf("%s: got sequences %v, want %v", c.claim, seqs, want)
		}
	}
}
