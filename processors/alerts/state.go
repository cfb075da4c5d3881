package alerts

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/earshot/earshot/schemas"
)

// Phase is where a cell of a rule stands; a cell that is not in the state is inactive.
type Phase string

// The phases.
const (
	Pending Phase = "pending" // unusual, but not for long enough
	Firing  Phase = "firing"  // an alert is open
	Rested  Phase = "rested"  // was resolved; what was counted before cannot raise it again
)

// Most of what a state holds. Whoever has two hundred open alerts has one problem, and it is not in the cells.
const (
	MaxOpen     = 200
	holdWindows = 4 // an alert stays open for windows of up to so many times the length of the one that raised it
	maxOutbox   = 2000
)

// State is everything that must survive a restart. It is stored as one JSON document.
type State struct {
	Owner      string           `json:"owner"`      // of the process that evaluates
	Beat       time.Time        `json:"beat"`       // when it last said so
	Generation uint32           `json:"generation"` // of the labels that were counted last
	NotBefore  time.Time        `json:"not_before"` // what was counted before cannot raise anything: the labels were others
	Cells      map[string]*Cell `json:"cells"`      // by [schemas.CellKey]
	Alerts     map[string]*Open `json:"alerts"`     // by id; open ones, and resolved ones not delivered yet
	Outbox     []Delivery       `json:"outbox"`     // in the order in which they came about
	Lost       []Delivery       `json:"-"`          // what found the outbox full; whoever stores the state buries them
	Mutes      []Mute           `json:"mutes"`
}

// Table is the name among receivers of the table in which every alert is stored, muted or not. It is never given up.
const Table = "@table"

// Cell is one cell of a rule that is not as usual, or was not long ago.
type Cell struct {
	Rule  string            `json:"rule"`
	Cell  map[string]string `json:"cell"`
	Phase Phase             `json:"phase"`
	Since time.Time         `json:"since"`           // of the phase
	Bad   time.Time         `json:"bad"`             // when the reading last kept the alert open
	Alert string            `json:"alert,omitempty"` // id of the open one
}

// Open is an alert with what was done about it.
type Open struct {
	schemas.Alert
	Held    schemas.Seconds `json:"held,omitempty"`     // the shortest window that crossed the line
	Rise    float64         `json:"rise,omitempty"`     // how many times what is usual it was at least; 0: not known
	Paged   bool            `json:"paged"`              // its beginning was handed out for delivery; one that was muted or inhibited was not
	AckTold bool            `json:"ack_told,omitempty"` // that somebody looks after it was handed out
}

// Mute keeps alerts from being delivered; they are still stored and announced.
type Mute struct {
	ID      string            `json:"id"`
	Match   map[string]string `json:"match"` // dimension, label, severity or alertname to value; all must agree
	Until   time.Time         `json:"until"`
	By      string            `json:"by"`
	Comment string            `json:"comment,omitempty"`
}

// Finding is what a rule's detector says of one cell at one moment.
type Finding struct {
	Rule    *Rule
	Cell    map[string]string
	Verdict Verdict
	From    time.Time // the begin of the window
	All     []Verdict // of every window, the shortest first; nil: of that one only
}

// overBelow is how unlikely a reading must be, were it all still going on, for it to be over.
const overBelow = 0.02

// holds says whether the reading keeps an alert open. A window does that is not calm, unless it is much longer than the one
// that raised the alert or a shorter one shows that it is over: both remember what was.
func (f *Finding) holds(a *Open) bool {
	if f.All == nil {
		return f.Verdict.Level > Calm
	}
	held := time.Duration(a.Held)
	if held == 0 { // raised by an earlier version
		held = time.Duration(a.Window)
	}
	for i := range f.All {
		switch v := &f.All[i]; {
		case v.Window > holdWindows*held:
			return false
		case v.Level > Calm:
			return true
		case a.Rise > 1 && countBelow(int(v.Observed), a.Rise*v.Expected) <= overBelow:
			return false
		}
	}
	return false
}

// Change is what a step did to an alert.
type Change struct {
	Alert *Open
	Cause string // raised, resolved, released (from an inhibition or a mute)
}

// NewState is the state before anything was ever evaluated.
func NewState() *State {
	return &State{Cells: map[string]*Cell{}, Alerts: map[string]*Open{}}
}

// Next moves every cell on. findings are those of the rules evaluated, one for each cell that has a reading; a cell of
// such a rule without a finding is calm. A rule that is not among evaluated, because its counts could not be had, keeps
// its cells as they are. receivers names who is to be told. The alerts raised are complete but for what the customers said.
func (s *State) Next(now time.Time, evaluated []*Rule, findings []Finding, receivers []string) []Change {
	var changes []Change
	byKey := map[string]*Finding{}
	for i := range findings {
		f := &findings[i]
		byKey[schemas.CellKey(f.Rule.Name, f.Cell)] = f
	}
	rules := map[string]*Rule{}
	for _, r := range evaluated {
		rules[r.Name] = r
	}
	for _, key := range slices.Sorted(maps.Keys(s.Cells)) {
		c := s.Cells[key]
		if r := rules[c.Rule]; r != nil && byKey[key] == nil {
			byKey[key] = &Finding{Rule: r, Cell: c.Cell}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		if change, ok := s.move(now, key, byKey[key]); ok {
			changes = append(changes, change)
		}
	}
	return append(changes, s.release(now, changes, evaluated, receivers)...)
}

// move moves one cell on and says whether an alert began or ended.
func (s *State) move(now time.Time, key string, f *Finding) (Change, bool) {
	c, v := s.Cells[key], &f.Verdict
	if c == nil {
		if v.Level < Alarm || f.From.Before(s.NotBefore) {
			return Change{}, false
		}
		c = &Cell{Rule: f.Rule.Name, Cell: f.Cell, Phase: Pending, Since: now}
		s.Cells[key] = c
	}
	switch c.Phase {
	case Rested:
		// What was counted before the alert was resolved, or arrives late for that time, has had its call.
		if v.Level == Alarm && (f.Rule.asksNow() || !f.From.Before(c.rested(f.Rule))) {
			c.Phase, c.Since = Pending, now
			break
		}
		if now.Sub(c.Since) >= maxWindow {
			delete(s.Cells, key)
		}
		return Change{}, false
	case Firing:
		a := s.Alerts[c.Alert]
		if f.holds(a) {
			c.Bad = now
			a.measure(f)
			if v.Level == Alarm && v.Observed > a.Observed {
				a.note(v) // the worst of it is what is told at the end
			}
			return Change{}, false
		}
		if now.Sub(c.Bad) < f.Rule.KeepFiringFor {
			return Change{}, false
		}
		a.ResolvedAt = now
		c.Phase, c.Since, c.Alert = Rested, now, ""
		return Change{a, "resolved"}, true
	}
	switch {
	case v.Level == Calm:
		delete(s.Cells, key)
		return Change{}, false
	case v.Level == Alarm && now.Sub(c.Since) >= f.Rule.For && s.open() < MaxOpen:
	default:
		return Change{}, false
	}
	a := &Open{Alert: schemas.Alert{
		ID: schemas.AlertID(f.Rule.Name, f.Cell, now), Rule: f.Rule.Name, Severity: f.Rule.Severity, Cell: f.Cell,
		Labels: f.Rule.Labels, Annotations: f.Rule.Annotations, Detector: string(f.Rule.Detector), RaisedAt: now, Since: f.From,
	}}
	a.note(v)
	a.measure(f)
	c.Phase, c.Since, c.Bad, c.Alert = Firing, now, now, a.ID
	s.Alerts[a.ID] = a
	return Change{a, "raised"}, true
}

// note takes over the figures of a verdict.
func (a *Open) note(v *Verdict) {
	a.Reason, a.Window = string(v.Reason), schemas.Seconds(v.Window)
	a.Observed, a.Expected, a.Limit, a.Probability, a.Total = v.Observed, v.Expected, v.Limit, v.Probability, v.Total
}

// measure notes how bad it is and how short a window shows it, by which it is told later whether it is over. One and a
// half standard deviations are taken off, since what is found was the worst of many.
func (a *Open) measure(f *Finding) {
	all := f.All
	if all == nil {
		all = []Verdict{f.Verdict}
	}
	for i := range all {
		v := &all[i]
		if v.Level < Alarm {
			continue
		}
		if a.Held == 0 || v.Window < time.Duration(a.Held) {
			a.Held = schemas.Seconds(v.Window)
		}
		if v.Expected > 0 {
			a.Rise = max(a.Rise, (v.Observed-1.5*math.Sqrt(v.Observed))/v.Expected)
		}
	}
}

// rested is from when on something new may be counted in a cell whose alert is over. What is usual is not known of the time
// since an alert last held, but a person who speaks then is news.
func (c *Cell) rested(r *Rule) time.Time {
	if r.Seasonal() {
		return c.Since
	}
	return c.Bad
}

// open is how many alerts are open.
func (s *State) open() int {
	n := 0
	for _, a := range s.Alerts {
		if !a.Resolved() {
			n++
		}
	}
	return n
}

// release hands out for delivery what began and what ended, and what was held back and is no longer.
func (s *State) release(now time.Time, changes []Change, rules []*Rule, receivers []string) []Change {
	var released []Change
	began := map[string]bool{}
	for _, ch := range changes {
		began[ch.Alert.ID] = ch.Cause == "raised"
		s.tell(now, ch.Alert, []string{Table})
		if ch.Cause == "resolved" && ch.Alert.Paged {
			s.tell(now, ch.Alert, receivers)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.Alerts)) {
		a := s.Alerts[id]
		if a.Resolved() || a.Paged || s.HeldBack(now, a, rules) != "" {
			continue
		}
		a.Paged = true
		s.tell(now, a, receivers)
		if !began[id] {
			released = append(released, Change{a, "released"})
		}
	}
	s.forget(s.Lost)
	return released
}

// HeldBack says why an alert is not delivered, "" if it is: muted, or inhibited by the alert of another rule that is open
// in the same place. The place is the same when the dimensions of the inhibiting cell have the same values here.
func (s *State) HeldBack(now time.Time, a *Open, rules []*Rule) string {
	for _, m := range s.Mutes {
		if now.Before(m.Until) && m.matches(&a.Alert) {
			return "muted by " + m.ID
		}
	}
	for _, r := range rules {
		if !slices.Contains(r.Inhibits, a.Rule) {
			continue
		}
		for _, c := range s.Cells {
			if c.Rule == r.Name && c.Phase == Firing && within(a.Cell, c.Cell) {
				return "inhibited by " + c.Alert
			}
		}
	}
	return ""
}

func within(inner, outer map[string]string) bool {
	for k, v := range outer {
		if inner[k] != v {
			return false
		}
	}
	return true
}

func (m *Mute) matches(a *schemas.Alert) bool {
	for k, v := range m.Match {
		got, ok := a.Cell[k]
		switch {
		case k == "alertname":
			got, ok = a.Rule, true
		case k == "severity":
			got, ok = string(a.Severity), true
		case !ok:
			got = a.Labels[k]
		}
		if got != v {
			return false
		}
	}
	return true
}

// forget drops what is over and told, but for the alerts of some deliveries that are to be buried with them.
func (s *State) forget(kept []Delivery) {
	wanted := map[string]bool{}
	for _, d := range slices.Concat(s.Outbox, kept) {
		wanted[d.Alert] = true
	}
	maps.DeleteFunc(s.Alerts, func(id string, a *Open) bool { return a.Resolved() && !wanted[id] })
}

// Prune drops mutes that have lapsed, and the cells of rules that are no more; the alerts of these are over, which is
// told like any other end.
func (s *State) Prune(now time.Time, rules []*Rule, receivers []string) []Change {
	s.Mutes = slices.DeleteFunc(s.Mutes, func(m Mute) bool { return !now.Before(m.Until) })
	var changes []Change
	for _, key := range slices.Sorted(maps.Keys(s.Cells)) {
		c := s.Cells[key]
		if slices.ContainsFunc(rules, func(r *Rule) bool { return r.Name == c.Rule }) {
			continue
		}
		if a := s.Alerts[c.Alert]; a != nil && c.Phase == Firing {
			a.ResolvedAt, a.Reason = now, "rule_removed"
			changes = append(changes, Change{a, "resolved"})
		}
		delete(s.Cells, key)
	}
	for _, ch := range changes {
		s.tell(now, ch.Alert, []string{Table})
		if ch.Alert.Paged {
			s.tell(now, ch.Alert, receivers)
		}
	}
	s.forget(s.Lost)
	return changes
}

// Ack notes that somebody looks after an alert. The error says that there is none.
func (s *State) Ack(id, by string, now time.Time) error {
	for _, a := range s.Alerts {
		if !a.Resolved() && len(id) >= 4 && len(a.ID) >= len(id) && a.ID[:len(id)] == id {
			a.AckedBy, a.AckedAt, a.AckTold = by, now, false
			return nil
		}
	}
	return fmt.Errorf("no open alert begins with %q: 'earshot alert list' shows them", id)
}
