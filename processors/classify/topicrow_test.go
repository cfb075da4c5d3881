package classify

import (
	"math/rand/v2"
	"testing"
)

// Eight weights at a time add up to what one at a time does, for any weights and more rows than the lanes hold.
func TestTopicSums(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, rows := range []int{0, 1, mostRows - 1, mostRows, mostRows + 1, 3*mostRows + 7} {
		for _, weigh := range []func() int8{
			func() int8 { return -128 },
			func() int8 { return 127 },
			func() int8 { return int8(rng.IntN(256) - 128) },
		} {
			var sums topicSums
			var want [TopicWidth]int32
			for range rows {
				var r topicRow
				for k := range TopicWidth {
					w := weigh()
					r.set(k, 55)
					r.set(k, w)
					if got := r.weight(k); got != w {
						t.Fatalf("column %d holds %d, was set to %d", k, got, w)
					}
					want[k] += int32(w)
				}
				sums.add(&r)
			}
			sums.settle()
			if sums.total != want || int(sums.rows) != rows {
				t.Errorf("%d rows: %v of %d rows, want %v", rows, sums.total, sums.rows, want)
			}
		}
	}
}
