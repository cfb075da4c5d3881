package classify

import (
	"fmt"
	"math"
	"strings"
)

// ShareGroup is how many rows in the order of the file make one share: about what a brand of middling size gets in an hour.
const ShareGroup = 50

// Shares say how well the share of negative texts in groups of [ShareGroup] rows is known, which is what charts and alerts
// show. Errors are means over the groups of the distance to the share that people gave, 0 … 1.
type Shares struct {
	Groups      int     `json:"groups"`
	Negative    float64 `json:"negative"`    // share by people over all rows
	Counted     float64 `json:"counted"`     // error of counting the texts called negative
	Summed      float64 `json:"summed"`      // error of the mean of the probabilities of negative
	Corrected   float64 `json:"corrected"`   // error of the mean corrected for what the other half of the groups says of its bias
	Correlation float64 `json:"correlation"` // of the counted shares with those of people
}

// shareRow is one judged row: whether people and the classifier call it negative, and the probability of it.
type shareRow struct {
	negative, called bool
	p                float64
}

// shares compares the shares of whole groups, nil where the rows make fewer than four.
func shares(rows []shareRow) *Shares {
	n := len(rows) / ShareGroup
	if n < 4 {
		return nil
	}
	s := &Shares{Groups: n}
	people, counted, summed := make([]float64, n), make([]float64, n), make([]float64, n)
	// Sums of the probability of negative and numbers of rows, by half of the groups and by the label of people.
	var p, count [2][2]float64
	for g := range n {
		for _, r := range rows[g*ShareGroup : (g+1)*ShareGroup] {
			k := 0
			if r.negative {
				k = 1
				people[g] += 1. / ShareGroup
			}
			if r.called {
				counted[g] += 1. / ShareGroup
			}
			summed[g] += r.p / ShareGroup
			p[g%2][k] += r.p
			count[g%2][k]++
		}
		s.Negative += people[g] / float64(n)
	}
	for g := range n {
		s.Counted += math.Abs(counted[g]-people[g]) / float64(n)
		s.Summed += math.Abs(summed[g]-people[g]) / float64(n)
		s.Corrected += math.Abs(adjusted(summed[g], p[1-g%2], count[1-g%2])-people[g]) / float64(n)
	}
	s.Correlation = correlation(counted, people)
	return s
}

// adjusted solves mean = share·(mean among negative rows) + (1−share)·(mean among the others) for the share: probabilistic
// adjusted counting, Bella et al., ICDM 2010.
func adjusted(mean float64, p, count [2]float64) float64 {
	if count[0] == 0 || count[1] == 0 {
		return mean
	}
	other, negative := p[0]/count[0], p[1]/count[1]
	if negative-other < 0.05 {
		return mean
	}
	return min(1, max(0, (mean-other)/(negative-other)))
}

// correlation is Pearson's, 0 where one side does not vary.
func correlation(a, b []float64) float64 {
	var ma, mb, ab, aa, bb float64
	for i := range a {
		ma += a[i] / float64(len(a))
		mb += b[i] / float64(len(b))
	}
	for i := range a {
		ab += (a[i] - ma) * (b[i] - mb)
		aa += (a[i] - ma) * (a[i] - ma)
		bb += (b[i] - mb) * (b[i] - mb)
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}

func (s *Shares) write(b *strings.Builder) {
	fmt.Fprintf(b, "share of negative in groups of %d rows: %.3f by people; mean error %.3f counted, %.3f by probabilities, %.3f corrected; correlation %.2f over %d groups\n",
		ShareGroup, s.Negative, s.Counted, s.Summed, s.Corrected, s.Correlation, s.Groups)
}
