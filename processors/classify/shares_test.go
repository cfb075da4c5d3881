package classify

import (
	"math"
	"testing"
)

// groups makes rows of which a part is negative by people in each group; the classifier finds three negatives in five and
// calls one in ten of the others negative, with probabilities to match.
func groups(parts ...float64) (rows []shareRow) {
	for _, part := range parts {
		n := int(part * ShareGroup)
		for i := range ShareGroup {
			r := shareRow{negative: i < n, p: 0.1}
			if r.negative {
				r.p = 0.6
				r.called = i%5 < 3
			} else {
				r.called = i%10 == 9
			}
			rows = append(rows, r)
		}
	}
	return rows
}

func TestSharesAreCorrectedForWhatTheClassifierMisses(t *testing.T) {
	s := shares(groups(0.2, 0.4, 0.6, 0.8))
	if s == nil || s.Groups != 4 || math.Abs(s.Negative-0.5) > 1e-9 {
		t.Fatalf("%+v, want four groups, half of it negative", s)
	}
	// By hand: the mean of the probabilities is 0.1 + half of the share, off by 0, 0.1, 0.2 and 0.3.
	if math.Abs(s.Summed-0.15) > 1e-9 {
		t.Errorf("mean error of probabilities %.4f, want 0.15", s.Summed)
	}
	if s.Corrected > 1e-9 {
		t.Errorf("corrected error %.4f, want none: the bias is the same in all groups", s.Corrected)
	}
	if s.Counted < 0.05 || s.Correlation < 0.95 {
		t.Errorf("counted error %.3f, correlation %.3f", s.Counted, s.Correlation)
	}
}

func TestSharesOfFewRowsAreNotGiven(t *testing.T) {
	if s := shares(groups(0.2, 0.4, 0.6)); s != nil {
		t.Errorf("%+v of three groups, want none", s)
	}
	same := shares(groups(0, 0, 0, 0))
	if same == nil || same.Corrected != same.Summed || same.Correlation != 0 {
		t.Errorf("%+v: where no row is negative nothing can be corrected", same)
	}
}
