package alerts

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/earshot/earshot/schemas"
)

// Replayed is what came of a replay.
type Replayed struct {
	Alerts      []schemas.Alert
	Said        int            // how often a customer spoke in what the rule counts
	Cells       int            // in which something was said
	Reasons     map[Reason]int // of the looks at a cell in which somebody had spoken since the last; see [Finding]
	KnownFrom   time.Time      // when enough was known of the first cell; zero: never, or the rule needs no past
	First, Last time.Time      // hours between which anything at all is stored; zero: nothing is
}

// mostDetailed is of how many alerts a replay says what the customers said.
const mostDetailed = 100

// Replay tells when a rule would have raised alerts between two times, had it been there, looking every step and at the end. What is usual
// is learned from what lay before each day; quote makes a quote of what a customer said, nil: nothing is quoted. The detectors sla and query cannot be replayed: what they ask about is now.
func Replay(ctx context.Context, store Store, rule *Rule, from, to time.Time, step time.Duration, quote func(string) string) (*Replayed, error) {
	if rule.Detector == DetectSLA || rule.Detector == DetectQuery {
		return nil, fmt.Errorf("the rule %s (%s) asks how things are at the moment, which history does not tell: it cannot be simulated", rule.Name, rule.Detector)
	}
	out := &Replayed{Reasons: map[Reason]int{}}
	r := &replay{rule: rule, cells: map[string]*replayed{}}
	if err := r.read(ctx, store, from, to, out); err != nil {
		return nil, err
	}
	out.Cells = len(r.cells)
	keys := slices.Sorted(maps.Keys(r.cells))
	s := NewState()
	at := map[string]int{} // place of each alert in out
	for now, last := from, false; !last; now = now.Add(step) {
		if !now.Before(to) {
			now, last = to, true
		}
		var findings []Finding
		for _, key := range keys {
			c := r.cells[key]
			if fresh := c.advance(now); !fresh && s.Cells[c.key] == nil {
				continue
			}
			f := r.look(c, now, s.Cells[c.key])
			if f == nil {
				continue
			}
			findings = append(findings, *f)
			out.Reasons[f.Verdict.Reason]++
			if out.KnownFrom.IsZero() && rule.Seasonal() && c.known() {
				out.KnownFrom = c.day
			}
		}
		for _, ch := range s.Next(now, []*Rule{rule}, findings, nil) {
			switch ch.Cause {
			case "raised":
				if len(out.Alerts) < mostDetailed {
					if err := details(ctx, rule, &ch.Alert.Alert, now.Add(-time.Duration(ch.Alert.Window)), now, &Config{Store: store, Quote: quote, past: true}); err != nil {
						return nil, err
					}
				}
				at[ch.Alert.ID] = len(out.Alerts)
				out.Alerts = append(out.Alerts, ch.Alert.Alert)
			case "resolved":
				out.Alerts[at[ch.Alert.ID]] = ch.Alert.Alert
			}
		}
		s.Outbox = nil
		s.forget(nil)
	}
	return out, nil
}

// replay is the past as one rule sees it.
type replay struct {
	rule    *Rule
	cells   map[string]*replayed
	sources map[connection]time.Time
	begin   time.Time // of the history
}

// replayed is one cell of it.
type replayed struct {
	cell    map[string]string
	key     string // of the cell in a state
	events  []event
	next    int // of events, the first that has not happened yet
	windows []sliding
	past    past // all of it, also what is still to come
	day     time.Time
	now     past // what was known when the day began
}

type event struct {
	at           time.Time
	who, channel string
	negative     bool
	named        bool
}

// sliding counts different customers in a window that moves on.
type sliding struct {
	length time.Duration
	first  int // of events, the oldest within
	who    map[string]said
	now    Reading // without its times
}

// said is what one customer said within a window.
type said struct {
	times, negative int
	channel         string // where last
	unnamed         bool
}

func (r *replay) read(ctx context.Context, store Store, from, to time.Time, out *Replayed) error {
	longest := slices.Max(r.rule.Windows)
	r.begin = from.Add(-MaxHistory).Truncate(time.Hour)
	r.sources = map[connection]time.Time{}
	if err := connect(ctx, store, r.sources, r.begin, to); err != nil {
		return err
	}
	err := ask(ctx, store, "alert_sources", nil, func(w *row) {
		first, last := time.Unix(w.FirstHour, 0).UTC(), time.Unix(w.LastHour, 0).UTC().Add(time.Hour)
		if out.First.IsZero() || first.Before(out.First) {
			out.First = first
		}
		if last.After(out.Last) {
			out.Last = last
		}
	})
	if err != nil {
		return err
	}
	cell := func(w *row) *replayed {
		c := w.cell(r.rule.By)
		key := schemas.CellKey("", c)
		p := r.cells[key]
		if p == nil {
			p = &replayed{cell: c, key: schemas.CellKey(r.rule.Name, c), past: past{}}
			for _, length := range r.rule.Windows {
				p.windows = append(p.windows, sliding{length: length, who: map[string]said{}, now: Reading{Channels: map[string]Spoke{}}})
			}
			r.cells[key] = p
		}
		if p.past[w.Source] == nil {
			p.past[w.Source] = &history{series: Series{Start: r.sources[connection{w.Tenant, w.Source}]}}
		}
		return p
	}
	err = ask(ctx, store, "alert_events", between(r.rule.scopeParams(), from.Add(-longest), to), func(w *row) {
		c := cell(w)
		out.Said++
		c.events = append(c.events, event{time.UnixMilli(w.At).UTC(), w.Who, w.Source, w.Negative != 0, w.Named != 0})
	})
	if err != nil || !r.rule.Seasonal() {
		return err
	}
	return ask(ctx, store, "alert_history", between(r.rule.scopeParams(), r.begin, to), func(w *row) { cell(w).past[w.Source].add(w) })
}

// advance moves the cell's windows to now and says whether anything happened since.
func (c *replayed) advance(now time.Time) bool {
	was := c.next
	for c.next < len(c.events) && c.events[c.next].at.Before(now) {
		e := &c.events[c.next]
		for i := range c.windows {
			c.windows[i].count(e, 1)
		}
		c.next++
	}
	for i := range c.windows {
		w := &c.windows[i]
		for ; w.first < c.next && c.events[w.first].at.Before(now.Add(-w.length)); w.first++ {
			w.count(&c.events[w.first], -1)
		}
	}
	return c.next > was
}

func (w *sliding) count(e *event, n int) {
	s := w.who[e.who]
	w.customer(s, -1)
	s.times += n
	if e.negative {
		s.negative += n
	}
	if n > 0 {
		s.channel, s.unnamed = e.channel, !e.named
	}
	w.customer(s, 1)
	w.who[e.who] = s
	if s.times == 0 {
		delete(w.who, e.who)
	}
}

// customer adds a customer to what is counted, or takes one away.
func (w *sliding) customer(s said, n int) {
	if s.times == 0 {
		return
	}
	c := Spoke{Total: n}
	if s.negative > 0 {
		c.Negative = n
	}
	if s.unnamed {
		c.Unnamed, c.Nameless = c.Total, c.Negative
	}
	w.now.add(s.channel, c)
}

// reading is what is counted in the window up to now.
func (w *sliding) reading(now time.Time) Reading {
	r := w.now
	r.From, r.To = now.Add(-w.length), now
	return r
}

// look applies the rule to the cell as it is now; state is its place in the state, nil: it has none.
func (r *replay) look(c *replayed, now time.Time, state *Cell) *Finding {
	if day := now.Truncate(24 * time.Hour); !day.Equal(c.day) {
		c.day, c.now = day, past{}
		for channel, h := range c.past {
			c.now[channel] = &history{series: h.series.until(day)}
		}
	}
	open := state != nil && state.Phase == Firing
	var readings []Reading
	for i := range c.windows {
		if w := &c.windows[i]; open || len(w.who) > 0 {
			readings = append(readings, w.reading(now))
		}
	}
	if state != nil && state.Phase == Rested {
		rested := c.since(state.rested(r.rule), now)
		at := slices.IndexFunc(readings, func(x Reading) bool { return x.From.Before(rested.From) })
		if at >= 0 && len(rested.Channels) > 0 {
			readings = slices.Insert(readings, at, rested)
		}
	}
	if len(readings) == 0 {
		return nil
	}
	return r.rule.finding(c.now, c.cell, readings, len(r.cells), open)
}

// since is what was said from a time on.
func (c *replayed) since(from, now time.Time) Reading {
	w := sliding{who: map[string]said{}, now: Reading{Channels: map[string]Spoke{}}}
	first := c.next
	for first > 0 && !c.events[first-1].at.Before(from) {
		first--
	}
	for i := first; i < c.next; i++ {
		w.count(&c.events[i], 1)
	}
	w.now.From, w.now.To = from, now
	return w.now
}

// known says whether enough is known of the cell.
func (c *replayed) known() bool {
	for _, h := range c.now {
		if h.known() {
			return true
		}
	}
	return false
}

// until is the series as it was known at a time, [MaxHistory] long at most.
func (s *Series) until(at time.Time) Series {
	hours := int(at.Sub(s.Start) / time.Hour)
	n := max(0, min(hours, len(s.Total)))
	h := history{series: Series{Start: s.Start, Total: slices.Clone(s.Total[:n]), Negative: slices.Clone(s.Negative[:n]), Into: s.Into}}
	h.extend(hours)
	skip := min(max(0, hours-int(MaxHistory/time.Hour)), len(h.series.Total))
	return Series{s.Start.Add(time.Duration(skip) * time.Hour), h.series.Total[skip:], h.series.Negative[skip:], s.Into}
}
