package alerts

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// HoursOfWeek is how many hours a week has; hour 0 begins on Monday at 00:00 UTC.
const HoursOfWeek = 7 * 24

// Lengths of history. Less than a week of a source is a cold start, because not every hour of the week was seen once;
// more than eight weeks would remember habits that are no longer.
const (
	MinHistory = HoursOfWeek * time.Hour
	MaxHistory = 8 * MinHistory
)

// Series are the counts of one cell by hour, oldest first, of hours that are over.
type Series struct {
	Start    time.Time // full hour, UTC, of the first count; not before the cell's source was connected
	Total    []float64 // different customers who spoke in the hour
	Negative []float64 // different customers who said something negative
	Into     Into      // where in the hour they spoke
}

// Into sums up how far into the hour something happened, in seconds. Some sources know the day or the hour only, so that
// everything of an hour happens at once; a window then holds all of it or nothing.
type Into struct{ n, sum, squares float64 }

// Add takes in n times with a mean and a variance.
func (i *Into) Add(n, mean, variance float64) {
	i.n += n
	i.sum += n * mean
	i.squares += n * (variance + mean*mean)
}

// once is when everything of an hour happens, if it does: it needs 20 times that lie within a minute of each other.
func (i *Into) once() (after time.Duration, ok bool) {
	if i.n < 20 {
		return 0, false
	}
	mean := i.sum / i.n
	return time.Duration(mean * float64(time.Second)), i.squares/i.n-mean*mean < 60*60
}

// Numbers of the fit. They are the author's choice, held by the simulation in simulation_test.go.
const (
	pseudoEvents = 10    // events of "as everywhere" that each profile is mixed with, so that few events shape no profile
	silence      = 12.0  // customers missing in a row that make a silence a gap in the data: e^-12 by chance
	large        = 0.95  // quantile above which an hour is odd: 34 hours in four weeks may be
	odd          = 4.0   // deviations above which a share is cut when its swings are learned
	priorWeight  = 20.0  // expected squares that the dispersion starts with
	priorPairs   = 100.0 // pairs of customers that the correlation starts with: few pairs say little of it
	priorSpread  = 0.1   // dispersion before anything is known
	leastSpread  = 0.02  // dispersion that is always allowed for
	mostSpread   = 3.0
	leastRho     = 0.01 // correlation of draws that is always allowed for
	mostRho      = 0.5
)

// profile is what a count is expected to be in each hour of the week.
type profile struct {
	rate       [HoursOfWeek]float64 // an hour
	backing    [HoursOfWeek]float64 // events the rate of the hour stands on
	dispersion spread               // variance is mean + dispersion·mean²
	events     float64
}

// spread is a measure of swings beyond chance over one hour and over a block of hours. Where hours swing independently
// the second is smaller, where whole days are bad it is not; so both are measured.
type spread struct{ hour, block float64 }

// block is how many hours the longer of the two stretches has.
const block = 6

// over is the spread to be expected over a window.
func (s spread) over(window time.Duration) float64 {
	if h := window.Hours(); h > 1 {
		return s.hour + (s.block-s.hour)*math.Min(1, math.Log(h)/math.Log(block))
	}
	return s.hour
}

// Baseline is what is usual in a cell.
type Baseline struct {
	Hours           int // of history that count, gaps left out
	Since           time.Time
	total, negative profile
	share           [HoursOfWeek]float64 // usual share of negative customers
	rho             spread               // correlation of two customers' negativity
	at              time.Duration
	atOnce          bool // everything of an hour happens at so long after its begin
}

// Fit learns what is usual from past hours. Gaps, where the source was silent for longer than chance explains, are left
// out; so is what an incident added. An empty series gives a baseline that is cold.
func Fit(s Series) *Baseline {
	b := &Baseline{Since: s.Start}
	b.at, b.atOnce = s.Into.once()
	use := make([]bool, len(s.Total))
	for i := range use {
		use[i] = true
	}
	first := hourOfWeek(s.Start)
	rough := learn(s.Total, use, first)
	leaveGaps(s.Total, use, first, &rough)
	for _, u := range use {
		if u {
			b.Hours++
		}
	}
	total := cutOdd(s.Total, use, first)
	b.total = learn(total, use, first)
	// Volume comes in bursts, which are not cut: whoever is called for volume alone wants to hear of the largest only.
	b.total.dispersion = spread{b.total.excess(s.Total, use, first, 1), b.total.excess(s.Total, use, first, block)}
	negative := cutOdd(s.Negative, use, first)
	b.negative = learn(negative, use, first)
	b.learnShare(total, negative, use, first)
	for h, rate := range b.total.rate {
		b.negative.rate[h] = rate * b.share[h]
	}
	b.negative.dispersion = spread{b.negative.excess(negative, use, first, 1), b.negative.excess(negative, use, first, block)}
	b.rho = spread{b.correlation(s, use, first, 1), b.correlation(s, use, first, block)}
	return b
}

// Cold says that too little is known of the cell to call anything unusual.
func (b *Baseline) Cold() bool { return b == nil || b.Hours < HoursOfWeek }

// learnShare multiplies the overall share of negatives with factors as [learn] does. What is expected of an hour is its
// share of those who spoke, so that hours with few of them do not draw it down.
func (b *Baseline) learnShare(total, negative []float64, use []bool, first int) {
	var seen, spoke [HoursOfWeek]float64
	var n, c float64
	for i := range total {
		if use[i] {
			h := (first + i) % HoursOfWeek
			seen[h] += negative[i]
			spoke[h] += total[i]
			n, c = n+total[i], c+negative[i]
		}
	}
	for h := range b.share {
		b.share[h] = (c + 0.5) / (n + 1)
	}
	for _, group := range groups() {
		var got, want [HoursOfWeek]float64
		for h := range b.share {
			got[group(h)] += seen[h]
			want[group(h)] += spoke[h] * b.share[h]
		}
		for h := range b.share {
			b.share[h] *= (got[group(h)] + pseudoEvents) / (want[group(h)] + pseudoEvents)
		}
	}
	for h := range b.share {
		b.share[h] = clamp(b.share[h], 0.001, 0.98)
	}
}

// groups are the levels of a profile: hour of the day, day of the week, hour of the week.
func groups() []func(h int) int {
	return []func(h int) int{
		func(h int) int { return h % 24 },
		func(h int) int { return h / 24 },
		func(h int) int { return h },
	}
}

// cutOdd cuts the odd hour down to what is large among the same hours of other days and their neighbours, so that an
// incident is no habit.
func cutOdd(counts []float64, use []bool, first int) []float64 {
	var most [24]float64
	for h := range most {
		var same []float64
		for i, c := range counts {
			if d := ((first+i)%24 - h + 36) % 24; use[i] && d >= 11 && d <= 13 {
				same = append(same, c)
			}
		}
		if len(same) > 0 {
			slices.Sort(same)
			q := same[int(large*float64(len(same)-1))]
			most[h] = q + 2*math.Sqrt(q+1)
		}
	}
	cut := make([]float64, len(counts))
	for i, c := range counts {
		cut[i] = math.Min(c, most[(first+i)%24])
	}
	return cut
}

// learn multiplies an overall rate with factors for the hour of the day, the day of the week and the hour of the week.
// Each factor is drawn towards 1 by [pseudoEvents], so that it shows only where there is enough to show it.
func learn(counts []float64, use []bool, first int) profile {
	var p profile
	var hours float64
	var n, exposure [HoursOfWeek]float64
	for i, c := range counts {
		if use[i] {
			h := (first + i) % HoursOfWeek
			n[h] += c
			exposure[h]++
			p.events += c
			hours++
		}
	}
	if hours == 0 {
		return p
	}
	for h := range p.rate {
		p.rate[h] = (p.events + 0.5) / hours // half an event: what never happened is not impossible
	}
	for _, group := range groups() {
		var seen, want [HoursOfWeek]float64
		for h := range p.rate {
			seen[group(h)] += n[h]
			want[group(h)] += exposure[h] * p.rate[h]
		}
		for h := range p.rate {
			g := group(h)
			p.rate[h] *= (seen[g] + pseudoEvents) / (want[g] + pseudoEvents)
			p.backing[h] = seen[g] + pseudoEvents
		}
	}
	p.dispersion = spread{p.excess(counts, use, first, 1), p.excess(counts, use, first, block)}
	return p
}

// excess estimates by moments how much more sums of so many hours swing than chance explains.
func (p *profile) excess(counts []float64, use []bool, first, hours int) float64 {
	excess, squares := priorSpread*priorWeight, priorWeight
	for i := 0; i+hours <= len(counts); i += hours {
		var c, mu float64
		for k := i; k < i+hours; k++ {
			if use[k] {
				c += counts[k]
				mu += p.rate[(first+k)%HoursOfWeek]
			}
		}
		excess += (c-mu)*(c-mu) - mu
		squares += mu * mu
	}
	return clamp(excess/squares, leastSpread, mostSpread)
}

// leaveGaps marks runs of empty hours in which the source should have brought [silence] customers.
func leaveGaps(total []float64, use []bool, first int, p *profile) {
	for i := 0; i < len(total); {
		if total[i] > 0 {
			i++
			continue
		}
		j, missing := i, 0.0
		for ; j < len(total) && total[j] == 0; j++ {
			missing += p.rate[(first+j)%HoursOfWeek] / (1 + p.dispersion.hour*p.rate[(first+j)%HoursOfWeek])
		}
		for ; i < j; i++ {
			use[i] = missing < silence
		}
	}
}

// correlation estimates by moments how much more the share of negatives swings between stretches of so many hours than
// chance explains. The worst stretches are left out, as many as an incident of six hours has or one in twenty.
func (b *Baseline) correlation(s Series, use []bool, first, hours int) float64 {
	type stretch struct{ excess, pairs float64 }
	var all []stretch
	for i := 0; i+hours <= len(s.Total); i += hours {
		var n, c, mu float64
		for k := i; k < i+hours; k++ {
			if use[k] {
				n += s.Total[k]
				c += s.Negative[k]
				mu += s.Total[k] * b.share[(first+k)%HoursOfWeek]
			}
		}
		if n < 2 {
			continue
		}
		v := mu * (1 - mu/n)
		all = append(all, stretch{(c-mu)*(c-mu) - v, (n - 1) * v})
	}
	slices.SortFunc(all, func(x, y stretch) int { return cmp.Compare(y.excess, x.excess) })
	excess, pairs := leastRho*priorPairs, priorPairs
	for _, x := range all[min(len(all), max(block/hours, int((1-large)*float64(len(all))))):] {
		excess += x.excess
		pairs += x.pairs
	}
	return clamp(excess/pairs, leastRho, mostRho)
}

// Usual is what a baseline says of a window.
type Usual struct {
	Negative   float64 // customers expected to say something negative
	Total      float64 // customers expected to speak at all
	Dispersion float64 // of the negatives: swings of the rate and what is not known of it
	Surge      float64 // the same of the total
	Share      float64 // usual share of negatives
	Rho        float64 // correlation within it, and what is not known of it
}

// Usual sums up what is expected between two times; nil of a baseline that is cold.
func (b *Baseline) Usual(from, to time.Time) *Usual {
	if b.Cold() {
		return nil
	}
	u := &Usual{}
	var backing, surge float64
	add := func(part float64, h int) {
		u.Negative += part * b.negative.rate[h]
		u.Total += part * b.total.rate[h]
		backing += part * b.negative.rate[h] / b.negative.backing[h]
		surge += part * b.total.rate[h] / b.total.backing[h]
	}
	if b.atOnce {
		for hour := from.Truncate(time.Hour); hour.Before(to); hour = hour.Add(time.Hour) {
			if at := hour.Add(b.at); !at.Before(from) && at.Before(to) {
				add(1, hourOfWeek(hour))
			}
		}
	}
	if u.Total == 0 { // not at once, or the window lies between
		for at := from; at.Before(to); {
			next := at.Truncate(time.Hour).Add(time.Hour)
			if next.After(to) {
				next = to
			}
			add(next.Sub(at).Hours(), hourOfWeek(at))
			at = next
		}
	}
	u.Share = clamp(u.Negative/u.Total, 0.001, 0.98)
	window := to.Sub(from)
	u.Dispersion = b.negative.dispersion.over(window) + backing/u.Negative
	u.Surge = b.total.dispersion.over(window) + surge/u.Total
	u.Rho = math.Min(b.rho.over(window)+1/(b.total.events+1), mostRho)
	return u
}

func hourOfWeek(t time.Time) int {
	t = t.UTC()
	return (int(t.Weekday())+6)%7*24 + t.Hour()
}

func clamp(x, lo, hi float64) float64 { return math.Max(lo, math.Min(hi, x)) }
