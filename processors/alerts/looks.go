package alerts

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/earshot/earshot/schemas"
)

// How often is counted.
const (
	looksAWindow = 900              // how often a window is counted within its own length: 15 minutes every second
	slowest      = 30 * time.Second // longest pause between two counts that are quick
	prompt       = 2 * time.Second  // longest pause between two counts of a rule that one person may be enough for
	shareOfTime  = 10               // a count that takes long is repeated after so many times as long,
	mostPauses   = 3                // but not after more than so many pauses
	mostRests    = 16               // cells of a scope that are counted since they came to rest; the others wait for a whole window
)

// span is a stretch of time that ends now: so long, or since a cell came to rest.
type span struct {
	length time.Duration
	since  int64 // Unix nanoseconds; 0: it has a length
}

// window is what was counted last over one span.
type window struct {
	at    time.Time
	took  time.Duration // the last count in which it was the longest; 0: there was none
	cells []counted
}

// reach is a span with its length now.
type reach struct {
	span
	now time.Duration
}

// looked is what one count brought.
type looked struct {
	scope   string
	at      time.Time
	reaches []reach
	cells   [][]counted // by reach
	took    time.Duration
	err     error
}

// evaluate applies one rule; ok says that its counts are there.
func (e *Evaluator) evaluate(ctx context.Context, r *Rule, now time.Time) (findings []Finding, ok bool, err error) {
	if r.Seasonal() && e.past == nil {
		return nil, false, nil // the reason is among the errors already
	}
	scope := r.scopeKey()
	if err := e.count(ctx, r, scope, now); err != nil {
		return nil, false, err
	}
	type seen struct {
		counted
		readings []Reading
	}
	cells := map[string]*seen{}
	note := func(c *counted) {
		if cells[c.key] == nil {
			cells[c.key] = &seen{counted: *c}
		}
		cells[c.key].readings = append(cells[c.key].readings, c.reading)
	}
	firing, resting := e.moving(r)
	for _, s := range e.reaches(scope, now) {
		w := e.counts[scope][s.span]
		rests := resting[s.since]
		switch {
		case s.since == 0 && !slices.Contains(r.Windows, s.length), s.since != 0 && (w == nil || len(rests) == 0):
			continue
		case w == nil:
			return nil, false, nil // it is being counted
		}
		there := map[string]bool{}
		for i := range w.cells {
			if c := &w.cells[i]; s.since == 0 || slices.Contains(rests, c.key) {
				note(c)
				there[c.key] = true
			}
		}
		for key, cell := range firing {
			if !there[key] && s.since == 0 { // nobody spoke, which says something too
				note(&counted{cell, key, Reading{From: w.at.Add(-s.length), To: w.at, Channels: map[string]Spoke{}}})
			}
		}
	}
	for key, c := range cells {
		_, open := firing[key]
		findings = append(findings, *r.finding(e.known(scope, &c.counted), c.cell, c.readings, len(e.past[scope]), open))
	}
	return findings, true, nil
}

// finding is what the rule says of one cell, whose readings are there for every window, the shortest first.
func (r *Rule) finding(known past, cell map[string]string, readings []Reading, cells int, open bool) *Finding {
	var f *Finding
	for i := range readings {
		f = f.with(r, cell, r.verdict(known, readings[i], cells, open), readings[i].From)
	}
	return f
}

// with is the finding with the verdict of one more window. Of two that cross the line the shorter one counts: it says more
// of now.
func (f *Finding) with(r *Rule, cell map[string]string, v Verdict, from time.Time) *Finding {
	if f == nil {
		f = &Finding{Rule: r, Cell: cell, Verdict: v, From: from}
	}
	f.All = append(f.All, v)
	if v.Level > f.Verdict.Level {
		f.Verdict, f.From = v, from
	}
	return f
}

// moving are the cells of a rule whose alert is open, and those that came to rest, by when.
func (e *Evaluator) moving(r *Rule) (firing map[string]map[string]string, resting map[int64][]string) {
	firing, resting = map[string]map[string]string{}, map[int64][]string{}
	for _, c := range e.state.Cells {
		if c.Rule != r.Name {
			continue
		}
		switch key := schemas.CellKey("", c.Cell); c.Phase {
		case Firing:
			firing[key] = c.Cell
		case Rested:
			at := c.rested(r).UnixNano()
			resting[at] = append(resting[at], key)
		}
	}
	return firing, resting
}

// reaches are the spans over which a scope is counted, the shortest first.
func (e *Evaluator) reaches(scope string, now time.Time) []reach {
	lengths := e.lengths[scope]
	var out []reach
	for _, r := range e.rules {
		if r.scopeKey() != scope || r.asksNow() {
			continue
		}
		_, resting := e.moving(r)
		for at := range resting {
			s := reach{span{since: at}, now.Sub(time.Unix(0, at))}
			if s.now > 0 && s.now < slices.Max(r.Windows) && !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	byLength := func(a, b reach) int { return int(a.now - b.now) }
	slices.SortFunc(out, byLength)
	out = out[:min(len(out), mostRests)]
	for _, l := range lengths {
		out = append(out, reach{span{length: l}, l})
	}
	slices.SortStableFunc(out, byLength)
	return out
}

// count counts what is due in a scope. The longest window that is due brings all shorter ones with it.
func (e *Evaluator) count(ctx context.Context, r *Rule, scope string, now time.Time) error {
	reaches := e.reaches(scope, now)
	for i := len(reaches) - 1; i >= 0; i-- {
		s := reaches[i]
		if s.since != 0 {
			continue // comes with the next longer one
		}
		w := e.counts[scope][s.span]
		if w != nil && !r.due(w, s.length, now) {
			continue
		}
		part := reaches[:i+1]
		if w != nil && e.cfg.Patience > 0 && w.took > e.cfg.Patience {
			if e.behind == nil {
				e.behind = make(chan looked, 1)
				go func(to chan<- looked) { to <- look(ctx, &e.cfg, r, scope, now, part) }(e.behind)
			}
			continue // the shorter ones do not wait for it
		}
		return e.keep(look(ctx, &e.cfg, r, scope, now, part))
	}
	return nil
}

// due says whether a window is to be counted again. A step that comes a little early still counts.
func (r *Rule) due(w *window, length time.Duration, now time.Time) bool {
	pause := min(max(length/looksAWindow, time.Second), slowest)
	switch {
	case r.asksNow():
		pause = slowest
	case r.Detector == DetectThreshold:
		pause = min(pause, prompt)
	}
	return now.Sub(w.at) >= max(pause-pause/4, min(shareOfTime*w.took, mostPauses*pause))
}

// look counts over some spans at one go.
func look(ctx context.Context, cfg *Config, r *Rule, scope string, now time.Time, reaches []reach) looked {
	lengths := make([]time.Duration, len(reaches))
	for i, s := range reaches {
		lengths[i] = s.now
	}
	began := cfg.Clock()
	cells, err := countWindows(ctx, cfg.Store, r, now, lengths)
	return looked{scope, now, reaches, cells, cfg.Clock().Sub(began), err}
}

// keep takes over what a count brought.
func (e *Evaluator) keep(l looked) error {
	if l.err != nil {
		return l.err
	}
	if e.counts[l.scope] == nil {
		e.counts[l.scope] = map[span]*window{}
	}
	for i, s := range l.reaches {
		w := &window{at: l.at, cells: l.cells[i]}
		if old := e.counts[l.scope][s.span]; old != nil {
			if old.at.After(l.at) {
				continue // was counted meanwhile
			}
			w.took = old.took
		}
		if i == len(l.reaches)-1 {
			w.took = l.took
		}
		e.counts[l.scope][s.span] = w
	}
	return nil
}

// fetch takes what was counted beside the steps, if it is there.
func (e *Evaluator) fetch() error {
	select {
	case l := <-e.behind:
		e.behind = nil
		if err := e.keep(l); err != nil {
			return fmt.Errorf("count over %v: %w", l.reaches[len(l.reaches)-1].now, err)
		}
	default:
	}
	return nil
}
