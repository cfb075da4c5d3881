package alerts

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	simCells = flag.Int("cells", 100, "cells of the simulation")
	simSeed  = flag.Uint64("sim-seed", 1, "seed of the simulation")
	simSeeds = flag.Int("sim-seeds", 1, "simulations, each with the next seed")
	simDays  = flag.Int("sim-days", 28, "days that are scored, after as many that are learned from")
)

// spoken is one piece of feedback in a simulated cell.
type spoken struct {
	at       time.Duration // since the begin of the simulation
	customer int
	negative bool
}

// happening is a stretch of the simulation in which something happens.
type happening struct {
	from, to time.Duration
	factor   float64
	extra    int // negatives there would not have been
}

// simulated is one cell: feedback with daily and weekly cycles, rates that swing more than chance, authors who repeat
// themselves, incidents in which a larger share is negative, and surges of volume in which it is not.
type simulated struct {
	rate      float64 // an hour, on average
	share     float64 // negative, on average
	events    []spoken
	incidents []happening
	surges    []happening
	rants     []happening // one author, many messages
}

var simStart = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC) // a Monday

func simulate(rnd *rand.Rand, n, days int) []*simulated {
	out := make([]*simulated, n)
	factors := []float64{2, 3, 5}
	durations := []time.Duration{15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour}
	for i := range out {
		c := &simulated{rate: 0.2 * math.Pow(100, float64(i)/float64(max(n-1, 1)))} // 0.2 to 20 an hour, evenly in logarithm
		share := 0.08 + 0.17*rnd.Float64()
		c.share = share
		spread := 0.4 * rnd.Float64()
		place := func(length time.Duration, day int) happening {
			from := time.Duration(day)*24*time.Hour + time.Duration(rnd.Int64N(int64(18*time.Hour)))
			return happening{from: from, to: from + length}
		}
		for _, half := range []int{0, days} { // what is learned from has incidents too
			for _, part := range []int{1, 2} {
				s := place(durations[rnd.IntN(len(durations))], half+part*days/3+rnd.IntN(2))
				s.factor = factors[rnd.IntN(len(factors))]
				c.incidents = append(c.incidents, s)
			}
			s := place(time.Duration(1+rnd.IntN(4))*time.Hour, half+days/2+2)
			s.factor = 3 + 3*rnd.Float64()
			c.surges = append(c.surges, s)
			c.rants = append(c.rants, place(20*time.Minute, half+days/2-1))
		}
		phase := rnd.Float64() * 24
		customer := 0
		for h := range 2 * days * 24 {
			at := time.Duration(h) * time.Hour
			cycle := 1 + 0.7*math.Sin(2*math.Pi*(float64(h%24)-phase)/24)
			if h/24%7 >= 5 {
				cycle *= 0.6
			}
			swing := gamma(rnd, 1/spread) * spread
			p := beta(rnd, share*(1+0.2*math.Sin(2*math.Pi*float64(h%24)/24)), 60)
			for _, m := range minutes {
				t := at + m
				lambda := c.rate * cycle * swing / float64(len(minutes))
				for _, s := range c.surges {
					if s.from <= t && t < s.to {
						lambda *= s.factor
					}
				}
				for range poisson(rnd, lambda) {
					e := spoken{at: t + time.Duration(rnd.Int64N(int64(5*time.Minute))), customer: customer}
					if rnd.Float64() > 0.15 || customer == 0 {
						customer++
						e.customer = customer
					}
					e.negative = rnd.Float64() < p
					for k := range c.incidents {
						if s := &c.incidents[k]; s.from <= e.at && e.at < s.to && !e.negative && rnd.Float64() < math.Min(p*(s.factor-1), 0.95-p)/(1-p) {
							e.negative = true
							s.extra++
						}
					}
					c.events = append(c.events, e)
				}
			}
		}
		for _, s := range c.rants {
			customer++
			for range 30 {
				c.events = append(c.events, spoken{s.from + time.Duration(rnd.Int64N(int64(s.to-s.from))), customer, true})
			}
		}
		slices.SortFunc(c.events, func(a, b spoken) int { return int(a.at - b.at) })
		out[i] = c
	}
	return out
}

var minutes = []time.Duration{0, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 20 * time.Minute, 25 * time.Minute,
	30 * time.Minute, 35 * time.Minute, 40 * time.Minute, 45 * time.Minute, 50 * time.Minute, 55 * time.Minute}

func poisson(rnd *rand.Rand, mu float64) int {
	n, p := 0, rnd.Float64()
	for limit := math.Exp(-mu); p > limit; n++ {
		p *= rnd.Float64()
	}
	return n
}

// gamma draws from a gamma distribution of the given shape and scale 1 (Marsaglia and Tsang 2000).
func gamma(rnd *rand.Rand, shape float64) float64 {
	if shape < 1 {
		return gamma(rnd, shape+1) * math.Pow(rnd.Float64(), 1/shape)
	}
	d := shape - 1.0/3
	for {
		x := rnd.NormFloat64()
		v := math.Pow(1+x/math.Sqrt(9*d), 3)
		if v > 0 && math.Log(rnd.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}

func beta(rnd *rand.Rand, mean, strength float64) float64 {
	a, b := gamma(rnd, mean*strength), gamma(rnd, (1-mean)*strength)
	return a / (a + b)
}

// hourly counts different customers by the hour.
func (c *simulated) hourly(hours int) Series {
	s := Series{Start: simStart, Total: make([]float64, hours), Negative: make([]float64, hours)}
	type key struct {
		hour, customer int
		negative       bool
	}
	seen := map[key]bool{}
	for _, e := range c.events {
		h := int(e.at / time.Hour)
		if k := (key{h, e.customer, false}); h < hours && !seen[k] {
			seen[k] = true
			s.Total[h]++
		}
		if k := (key{h, e.customer, true}); h < hours && e.negative && !seen[k] {
			seen[k] = true
			s.Negative[h]++
		}
	}
	return s
}

// alarms of one detector over one cell.
type alarmist func(c *simulated, from, to int) []time.Duration

var simWindows = []time.Duration{15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 24 * time.Hour}

// ours looks whenever something negative arrives, which is when a sliding window can cross a line; the baseline is learned
// anew each day.
func ours(cells int) alarmist {
	return func(c *simulated, from, to int) []time.Duration {
		s := c.hourly(to)
		var out []time.Duration
		var b *Baseline
		day := -1
		for i, e := range c.events {
			h := int(e.at / time.Hour)
			if h < from || h >= to || !e.negative {
				continue
			}
			if h/24 != day {
				day = h / 24
				lo := max(0, day*24-int(MaxHistory/time.Hour))
				b = Fit(Series{Start: simStart.Add(time.Duration(lo) * time.Hour), Total: s.Total[lo : day*24], Negative: s.Negative[lo : day*24]})
			}
			k := i
			total, negative := map[int]bool{}, map[int]bool{}
			for _, w := range simWindows {
				r := Reading{From: simStart.Add(e.at - w), To: simStart.Add(e.at)}
				for ; k >= 0 && c.events[k].at > e.at-w; k-- {
					total[c.events[k].customer] = true
					if c.events[k].negative {
						negative[c.events[k].customer] = true
					}
				}
				if r.Total, r.Negative = len(total), len(negative); r.Negative < DefaultCustomers {
					continue
				}
				if NegativeSpike(b.Usual(r.From, r.To), r, Floors{5, 1.5}, Alpha(1, cells, len(simWindows), w)).Level == Alarm {
					out = append(out, e.at)
					break
				}
			}
		}
		return out
	}
}

// byHour looks at each full hour's number of negatives, messages and not customers, as the products do.
func byHour(floor float64, limit func(history []float64, now float64) bool) alarmist {
	return func(c *simulated, from, to int) []time.Duration {
		counts := make([]float64, to)
		for _, e := range c.events {
			if h := int(e.at / time.Hour); h < to && e.negative {
				counts[h]++
			}
		}
		var out []time.Duration
		for h := from; h < to; h++ {
			if counts[h] >= max(floor, 1) && limit(counts[:h], counts[h]) {
				out = append(out, time.Duration(h+1)*time.Hour)
			}
		}
		return out
	}
}

func twoSD(history []float64, now float64) bool {
	mean, sd := moments(history[max(0, len(history)-28*24):])
	return now > mean+2*sd
}

func sentry(history []float64, now float64) bool {
	return now > EscalatingLimit(history[max(0, len(history)-HoursOfWeek):])
}

func mad(history []float64, now float64) bool {
	var same []float64
	for h := len(history) - 24; h >= 0 && len(same) < 28; h -= 24 {
		same = append(same, history[h])
	}
	return RobustZ(now, same) >= 3.5
}

// score is what came of a detector.
type score struct {
	episodes, falseAlarms, surges, rants int
	found, all                           map[string]int
	delays                               []time.Duration
}

// grace is how long after an incident an alarm still counts for it: the hour that an hourly detector waits for.
const grace = time.Hour

func judge(cells []*simulated, detect alarmist, days int, reach time.Duration) *score {
	s := &score{found: map[string]int{}, all: map[string]int{}}
	from, to := days*24, 2*days*24
	for _, c := range cells {
		var last time.Duration = -1 << 60
		first := map[int]time.Duration{}
		for _, at := range detect(c, from, to) {
			fresh := at-last > 2*time.Hour // what goes on is one alert
			last = at
			if fresh {
				s.episodes++
			}
			in := func(spans []happening, after time.Duration) int {
				return slices.IndexFunc(spans, func(x happening) bool { return x.from <= at && at <= x.to+after })
			}
			k := in(c.incidents, grace)
			if _, ok := first[k]; k >= 0 && !ok {
				first[k] = at - c.incidents[k].from
			}
			switch {
			case !fresh || in(c.incidents, reach) >= 0:
			case in(c.rants, reach) >= 0:
				s.rants++
			case in(c.surges, reach) >= 0:
				s.surges++
			default:
				s.falseAlarms++
			}
		}
		for k, x := range c.incidents {
			if x.from < time.Duration(from)*time.Hour {
				continue
			}
			delay, ok := first[k]
			if ok {
				s.delays = append(s.delays, delay)
			}
			for _, class := range []string{"all", fmt.Sprintf("x%.0f", x.factor), fmt.Sprint(x.to - x.from), extraClass(x.extra)} {
				s.all[class]++
				if ok {
					s.found[class]++
				}
			}
		}
	}
	slices.Sort(s.delays)
	return s
}

func extraClass(n int) string {
	switch {
	case n < 5:
		return "<5"
	case n < 10:
		return "5-9"
	case n < 20:
		return "10-19"
	}
	return "20+"
}

func (s *score) recall(class string) string {
	if s.all[class] == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", float64(s.found[class])/float64(s.all[class]))
}

func (s *score) delay() string {
	if len(s.delays) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f min", s.delays[len(s.delays)/2].Minutes())
}

// knowing is no detector but the most that one could do: it knows the true share of each hour and when the incident began, and
// looks at what was said since then. It has the level that the window of three hours has.
func knowing(cells int) alarmist {
	alpha := Alpha(1, cells, len(simWindows), 3*time.Hour)
	return func(c *simulated, from, _ int) []time.Duration {
		var out []time.Duration
		for _, x := range c.incidents {
			total, negative := map[int]bool{}, map[int]bool{}
			for _, e := range c.events {
				if e.at < x.from || e.at >= x.to || x.from < time.Duration(from)*time.Hour {
					continue
				}
				if total[e.customer] = true; e.negative {
					negative[e.customer] = true
				}
				share := c.share * (1 + 0.2*math.Sin(2*math.Pi*float64(int(e.at/time.Hour)%24)/24))
				if len(negative) >= DefaultCustomers && ShareTail(len(negative), len(total), share, 1.0/61) <= alpha {
					out = append(out, e.at)
					break
				}
			}
		}
		return out
	}
}

// add sums up the scores of several simulations.
func (s *score) add(o *score) {
	s.falseAlarms, s.surges, s.rants, s.delays = s.falseAlarms+o.falseAlarms, s.surges+o.surges, s.rants+o.rants, append(s.delays, o.delays...)
	for k, n := range o.all {
		s.all[k] += n
		s.found[k] += o.found[k]
	}
	slices.Sort(s.delays)
}

// At most one false alarm a week over all cells together, none from a single author and hardly one from a surge of volume
// (in which the share is as always but for its own swings), while incidents that brought many negatives are found.
func TestFalseAlarmsAreRareAndIncidentsAreFound(t *testing.T) {
	weeks := float64(*simDays) / 7
	classes := []string{"all", "x2", "x3", "x5", "15m0s", "1h0m0s", "3h0m0s", "6h0m0s", "<5", "5-9", "10-19", "20+"}
	detectors := []struct {
		name   string
		detect alarmist
		reach  time.Duration // how long after something happened it may still be the cause of an alarm
	}{
		{"negative_spike", ours(*simCells), 24 * time.Hour}, {"knows everything", knowing(*simCells), 0},
		{"mean+2SD", byHour(0, twoSD), 6 * time.Hour}, {"mean+2SD, 5 or more", byHour(5, twoSD), 6 * time.Hour},
		{"Sentry", byHour(0, sentry), 6 * time.Hour}, {"Sentry, 5 or more", byHour(5, sentry), 6 * time.Hour},
		{"MAD 3.5", byHour(0, mad), 6 * time.Hour}, {"MAD 3.5, 5 or more", byHour(5, mad), 6 * time.Hour},
	}
	scores := make([]*score, len(detectors))
	weekly := make([][]float64, len(detectors)) // a week, by seed
	for i := range scores {
		scores[i] = &score{found: map[string]int{}, all: map[string]int{}}
	}
	for seed := range uint64(*simSeeds) {
		cells := simulate(rand.New(rand.NewPCG(*simSeed+seed, 18)), *simCells, *simDays)
		for i, d := range detectors {
			s := judge(cells, d.detect, *simDays, d.reach)
			scores[i].add(s)
			weekly[i] = append(weekly[i], float64(s.falseAlarms)/weeks)
		}
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%-20s %8s %6s %7s %6s %8s", "detector", "false/wk", "most", "surges", "rants", "delay")
	for _, c := range classes {
		fmt.Fprintf(&table, " %5s", strings.TrimSuffix(strings.TrimSuffix(c, "0s"), "0m"))
	}
	table.WriteByte('\n')
	for i, d := range detectors {
		s := scores[i]
		fmt.Fprintf(&table, "%-20s %8.2f %6.2f %7d %6d %8s", d.name, float64(s.falseAlarms)/weeks/float64(*simSeeds), slices.Max(weekly[i]), s.surges, s.rants, s.delay())
		for _, c := range classes {
			fmt.Fprintf(&table, " %5s", s.recall(c))
		}
		table.WriteByte('\n')
	}
	n := scores[0]
	fmt.Fprintf(&table, "%d simulations of %d cells, %d days; incidents by class:", *simSeeds, *simCells, *simDays)
	for _, c := range classes {
		fmt.Fprintf(&table, " %s %d", c, n.all[c])
	}
	t.Log("\n" + table.String())
	over := 0
	for _, f := range weekly[0] {
		if f > 1 {
			over++
		}
	}
	if 20*over > *simSeeds {
		t.Errorf("more than one false alarm a week in %d of %d simulations: %v", over, *simSeeds, weekly[0])
	}
	if surges := *simCells * *simSeeds; 50*n.surges > surges || 200*n.rants > surges {
		t.Errorf("%d alerts from %d surges of volume and %d from single authors", n.surges, surges, n.rants)
	}
	if n.all["20+"] > 0 && 10*n.found["20+"] < 8*n.all["20+"] {
		t.Errorf("%d of %d incidents with 20 negatives more were found", n.found["20+"], n.all["20+"])
	}
	// What can be found at all is what somebody finds who knows everything.
	if best := scores[1]; 10*n.found["all"] < 8*best.found["all"] {
		t.Errorf("%d incidents were found of %d that can be", n.found["all"], best.found["all"])
	}
}
