package alerts

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// live runs the shipped rule of a cell through the state machine, a look every two minutes in which something can change, as
// a replay does. It returns the alerts.
func live(c *simulated, rule *Rule, cells, from, to int) []*Open {
	hours := c.hourly(to)
	whole := &replayed{cell: map[string]string{"tenant": "t", "channel": "app"}, key: "k", past: past{"app": {series: hours}}}
	for _, l := range rule.Windows {
		whole.windows = append(whole.windows, sliding{length: l, who: map[string]said{}, now: Reading{Channels: map[string]Spoke{}}})
	}
	for _, e := range c.events {
		whole.events = append(whole.events, event{simStart.Add(e.at), fmt.Sprint(e.customer), "app", e.negative, true})
	}
	r := &replay{rule: rule, cells: map[string]*replayed{}}
	for i := range cells {
		r.cells[fmt.Sprint(i)] = whole
	}
	s := NewState()
	var out []*Open
	key := ""
	for at := time.Duration(from) * time.Hour; at < time.Duration(to)*time.Hour; at += 2 * time.Minute {
		now := simStart.Add(at)
		if fresh := whole.advance(now); !fresh && len(s.Cells) == 0 {
			continue
		}
		var findings []Finding
		if f := r.look(whole, now, s.Cells[key]); f != nil {
			findings = append(findings, *f)
		}
		for _, ch := range s.Next(now, []*Rule{rule}, findings, nil) {
			if ch.Cause == "raised" {
				out = append(out, ch.Alert)
			}
		}
		s.Outbox = nil
		for k := range s.Cells {
			key = k
		}
	}
	return out
}

// An alert is over soon after what raised it, and is not raised again by what is left of it.
func TestAnAlertEndsWithItsIncident(t *testing.T) {
	rules, err := ParseRules("shipped", ShippedRules())
	if err != nil {
		t.Fatal(err)
	}
	rule := &rules[0]
	open := map[time.Duration][]time.Duration{}
	incidents, pages, alerts, strangers := 0, 0, 0, 0
	for seed := range uint64(*simSeeds) {
		for _, c := range simulate(rand.New(rand.NewPCG(*simSeed+seed, 18)), *simCells, *simDays) {
			raised := live(c, rule, *simCells, *simDays*24, 2**simDays*24)
			alerts += len(raised)
			used := map[int]bool{}
			for _, a := range raised {
				at := a.RaisedAt.Sub(simStart)
				k := slices.IndexFunc(c.incidents, func(x happening) bool { return x.from <= at && at <= x.to+24*time.Hour })
				if k < 0 {
					strangers++
					continue
				}
				pages++
				if !used[k] {
					incidents++
				}
				used[k] = true
				if a.Resolved() {
					x := c.incidents[k]
					open[x.to-x.from] = append(open[x.to-x.from], max(0, a.ResolvedAt.Sub(simStart)-max(x.to, at)))
				}
			}
		}
	}
	var table strings.Builder
	for _, l := range []time.Duration{15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour} {
		o := open[l]
		slices.Sort(o)
		if len(o) > 0 {
			fmt.Fprintf(&table, "%v: %d alerts, open after the end: median %v, nine of ten %v, most %v\n", l, len(o), o[len(o)/2], o[len(o)*9/10], o[len(o)-1])
		}
	}
	all := slices.Sorted(slices.Values(slices.Concat(open[15*time.Minute], open[time.Hour], open[3*time.Hour], open[6*time.Hour])))
	if n := len(all); n < 10**simSeeds || all[n/2] > 3*time.Hour || all[n-1] > 12*time.Hour {
		t.Errorf("%d alerts stay open after their incidents: %v", n, all)
	}
	if 5*(pages-incidents) > incidents {
		t.Errorf("%d alerts for %d incidents: they flap", pages, incidents)
	}
	if weeks := *simDays / 7 * *simSeeds; strangers > weeks {
		t.Errorf("%d alerts in %d weeks belong to no incident", strangers, weeks)
	}
	t.Logf("%d alerts, %d of incidents (%d different), %d others\n%s", alerts, pages, incidents, strangers, table.String())
}

// A short incident with the shipped windows, of which the longest remembers it for a day: the alert ends when the short windows
// are quiet, is raised once, and the next incident, two hours later, is an alert of its own.
func TestAShortIncidentIsAShortAlert(t *testing.T) {
	rules, err := ParseRules("shipped", ShippedRules())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ lasts, open time.Duration }{{15 * time.Minute, time.Hour}, {time.Hour, 90 * time.Minute}} {
		c := &simulated{}
		rnd := rand.New(rand.NewPCG(8, 18))
		for at := time.Duration(0); at < 30*24*time.Hour; at += time.Duration(rnd.ExpFloat64() * float64(6*time.Minute)) { // ten an hour
			c.events = append(c.events, spoken{at, len(c.events), rnd.Float64() < 0.1})
		}
		first, second := 29*24*time.Hour, 29*24*time.Hour+x.lasts+x.open+time.Hour
		for i := range 60 {
			for k, from := range []time.Duration{first, second} {
				c.events = append(c.events, spoken{from + time.Duration(i)*x.lasts/60, 100000 + 1000*k + i, true})
			}
		}
		slices.SortFunc(c.events, func(a, b spoken) int { return int(a.at - b.at) })
		raised := live(c, &rules[0], 100, 29*24-2, 30*24)
		if len(raised) != 2 {
			t.Errorf("%v: %d alerts for two incidents", x.lasts, len(raised))
			continue
		}
		for i, from := range []time.Duration{first, second} {
			a := raised[i]
			if delay, open := a.RaisedAt.Sub(simStart)-from, a.ResolvedAt.Sub(simStart)-from-x.lasts; delay > x.lasts || !a.Resolved() || open > x.open {
				t.Errorf("%v, incident %d: raised after %v, open for %v after its end", x.lasts, i, delay, open)
			}
		}
	}
}
