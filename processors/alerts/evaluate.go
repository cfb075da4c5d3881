package alerts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/earshot/earshot/schemas"
)

// Journal keeps the state. Its errors are those of the log; [schemas.ErrLost] says that somebody else wrote it.
type Journal interface {
	// Load returns the newest document and its sequence; nil and 0: there is none yet.
	Load(ctx context.Context) ([]byte, uint64, error)
	// Swap replaces the document that is still at expect and publishes the outcomes, all or nothing.
	Swap(ctx context.Context, document []byte, expect uint64, outcomes []schemas.Outcome) (uint64, error)
}

// Config is what an evaluator needs.
type Config struct {
	Rules     []Rule
	Receivers []string // names of those who are told; [Table] is told besides
	Listeners []string // of these, those who want to know that somebody looks after an alert
	Forgetful []string // of these, those who cannot tell a repetition from news
	Owner     string   // names this process, differently from any other
	Store     Store
	Journal   Journal
	Quote     func(string) string // makes a quote of what a customer said; nil: nothing is quoted
	Link      string              // begin of the dashboard's address; empty: none
	Takeover  time.Duration       // how long a rival's state must stand still before its work is taken over; default 15 s
	Clock     func() time.Time    // tells how long a count takes, so that slow ones are made less often; nil: they take no time
	Patience  time.Duration       // a count that took longer is made beside the steps the next time, which do not wait for it; 0: none is

	past bool // it is history that is asked for: when it arrived does not matter
}

func (c *Config) quote(text string) string {
	if c.Quote == nil {
		return ""
	}
	return c.Quote(text)
}

// Times of an evaluator.
const (
	DefaultTakeover = 15 * time.Second
	beat            = 5 * time.Second // how often the owner says that it is alive
	settle          = 2 * time.Minute // how long after the full hour its counts are taken into the history
	reload          = 24 * time.Hour  // how often the history is read anew, late arrivals included
	mostOutcomes    = 900             // announcements in one write of the state
)

// Evaluator evaluates rules. It belongs to one goroutine.
type Evaluator struct {
	cfg   Config
	rules []*Rule

	state   *State // nil: to be loaded
	seq     uint64
	dirty   bool
	buried  int // deliveries that became dead letters for want of room, in the write that is being made
	lost    int // the same, stored and not reported yet
	standby struct {
		on    bool
		since time.Time
	}
	inFlight map[string]bool  // deliveries handed out and not reported yet
	made     map[string]Order // deliveries made, as long as that is not stored

	past      map[string]map[string]past  // by scope and cell
	sources   map[connection]time.Time    // first hour of each
	pastTo    time.Time                   // the history is complete up to here
	pastSince time.Time                   // when it was read as a whole
	generated time.Time                   // when the generation was looked up
	counts    map[string]map[span]*window // by scope
	lengths   map[string][]time.Duration  // windows of all rules of a scope, the shortest first
	behind    chan looked                 // brings what is being counted beside the steps; nil: nothing is
}

// Report is what a step did.
type Report struct {
	Changes []Change
	Standby bool // another process evaluates
	Open    int
	LetGo   int // deliveries that became dead letters since the step before, because too much was waiting for receivers that are away
}

// New returns an evaluator; nothing happens before [Evaluator.Step].
func New(cfg Config) *Evaluator {
	if cfg.Takeover == 0 {
		cfg.Takeover = DefaultTakeover
	}
	if cfg.Clock == nil {
		cfg.Clock = func() time.Time { return time.Time{} }
	}
	e := &Evaluator{cfg: cfg, inFlight: map[string]bool{}, made: map[string]Order{}}
	e.Use(cfg.Rules, cfg.Receivers, cfg.Listeners, cfg.Forgetful)
	return e
}

// Use goes on with other rules and receivers, see [Config]. The alerts of rules that are no more are over with the next step,
// and the history is read again.
func (e *Evaluator) Use(rules []Rule, receivers, listeners, forgetful []string) {
	e.cfg.Receivers, e.cfg.Listeners, e.cfg.Forgetful = receivers, listeners, forgetful
	e.rules = nil
	for i := range rules {
		e.rules = append(e.rules, &rules[i])
	}
	e.past, e.counts, e.lengths = nil, map[string]map[span]*window{}, map[string][]time.Duration{}
	for _, r := range e.rules {
		scope := r.scopeKey()
		e.lengths[scope] = slices.Compact(slices.Sorted(slices.Values(slices.Concat(e.lengths[scope], r.Windows))))
	}
}

// Step evaluates what is due now, stores what follows from it and returns it. A rule whose counts could not be had keeps
// its alerts as they are, and its error is among those returned. After an error of the journal the next step begins from
// what is stored there.
func (e *Evaluator) Step(ctx context.Context, now time.Time) (Report, error) {
	if err := e.take(ctx, now); err != nil || e.standby.on {
		return Report{Standby: e.standby.on}, err
	}
	faults := []error{e.learn(ctx, now), e.fetch()}
	var evaluated []*Rule
	var findings []Finding
	for _, r := range e.rules {
		found, ok, err := e.evaluate(ctx, r, now)
		if err != nil {
			faults = append(faults, fmt.Errorf("evaluate %s: %w", r.Name, err))
		}
		if ok {
			evaluated, findings = append(evaluated, r), append(findings, found...)
		}
	}
	changes := e.state.Prune(now, e.rules, e.cfg.Receivers)
	changes = append(changes, e.state.Next(now, evaluated, findings, e.cfg.Receivers)...)
	e.dirty = e.state.Acknowledge(now, e.cfg.Listeners) || e.dirty
	for _, ch := range changes {
		if ch.Cause == "raised" {
			r := e.rule(ch.Alert.Rule)
			faults = append(faults, details(ctx, r, &ch.Alert.Alert, now.Add(-time.Duration(ch.Alert.Window)), now, &e.cfg))
		}
	}
	if len(changes) > 0 || e.dirty || now.Sub(e.state.Beat) >= beat {
		if err := e.commit(ctx, now, changes, nil); err != nil {
			return Report{Standby: e.standby.on}, errors.Join(append(faults, err)...)
		}
	}
	report := Report{Changes: changes, Open: e.state.open(), LetGo: e.lost}
	e.lost = 0
	return report, errors.Join(faults...)
}

func (e *Evaluator) rule(name string) *Rule {
	for _, r := range e.rules {
		if r.Name == name {
			return r
		}
	}
	return &Rule{Name: name}
}

// take makes this process the owner of the state, unless another is at work.
func (e *Evaluator) take(ctx context.Context, now time.Time) error {
	if e.state != nil {
		return nil
	}
	document, seq, err := e.cfg.Journal.Load(ctx)
	if err != nil {
		return fmt.Errorf("load the alerts: %w", err)
	}
	s := NewState()
	if document != nil {
		if err := json.Unmarshal(document, s); err != nil {
			return fmt.Errorf("read the alerts at %d: %w", seq, err)
		}
	}
	if e.standby.on && s.Owner != e.cfg.Owner {
		if seq != e.seq {
			e.seq, e.standby.since = seq, now
		}
		if now.Sub(e.standby.since) < e.cfg.Takeover {
			return nil
		}
	}
	e.standby.on = false
	e.state, e.seq, e.dirty = s, seq, s.Owner != e.cfg.Owner
	s.Owner = e.cfg.Owner
	for _, o := range e.made { // a person changed the state before it could be noted there
		s.Delivered(o.Delivery, now, nil, false)
		e.dirty = true
	}
	return nil
}

// commit stores the state with what is announced. On an error the state in memory is dropped.
func (e *Evaluator) commit(ctx context.Context, now time.Time, changes []Change, outcomes []schemas.Outcome) error {
	for _, ch := range changes {
		if ch.Cause != "released" {
			outcomes = append(outcomes, ch.Alert.Outcome())
		}
	}
	e.state.Beat = now
	document, outcomes, err := e.encode(outcomes)
	if err != nil { // a probability is a number, and so is everything else
		return fmt.Errorf("encode the alerts: %w", err)
	}
	seq, err := e.cfg.Journal.Swap(ctx, document, e.seq, outcomes)
	if err == nil {
		e.seq, e.dirty = seq, len(e.state.Lost) > 0 // what found no room in the batch is buried with the next one
		e.lost, e.buried = e.lost+e.buried, 0
		clear(e.made)
		return nil
	}
	mine := e.state.Owner
	e.state, e.buried = nil, 0
	if errors.Is(err, schemas.ErrLost) && !e.still(ctx, mine) {
		e.standby.on, e.standby.since = true, now
	}
	return fmt.Errorf("store the alerts: %w", err)
}

// still says whether the stored state is this process's, changed by a person, or another process's.
func (e *Evaluator) still(ctx context.Context, owner string) bool {
	document, _, err := e.cfg.Journal.Load(ctx)
	var s struct{ Owner string }
	return err == nil && json.Unmarshal(document, &s) == nil && s.Owner == owner
}

// learn keeps the history: the whole once a day, the hours since then as they end.
func (e *Evaluator) learn(ctx context.Context, now time.Time) error {
	if now.Sub(e.generated) >= beat || e.past == nil {
		g, err := e.cfg.Store.Live(ctx)
		if err != nil {
			return fmt.Errorf("look up the generation: %w", err)
		}
		e.generated = now
		if g != e.state.Generation {
			if e.state.Generation != 0 { // other labels: what was counted with the old ones cannot be compared
				e.state.NotBefore = now
				e.past, e.counts, e.behind = nil, map[string]map[span]*window{}, nil
			}
			e.state.Generation, e.dirty = g, true
		}
	}
	to := now.Add(-settle).Truncate(time.Hour)
	whole := e.past == nil || now.Sub(e.pastSince) >= reload
	if !whole && !to.After(e.pastTo) {
		return nil
	}
	from, known, sources := e.pastTo, e.past, e.sources
	if whole {
		from, known, sources = to.Add(-MaxHistory), map[string]map[string]past{}, map[connection]time.Time{}
	}
	if err := connect(ctx, e.cfg.Store, sources, from, now); err != nil {
		return fmt.Errorf("learn what is usual: %w", err)
	}
	done := map[string]bool{}
	for _, r := range e.rules {
		scope := r.scopeKey()
		if !r.Seasonal() || done[scope] {
			continue
		}
		done[scope] = true
		if known[scope] == nil {
			known[scope] = map[string]past{}
		}
		err := ask(ctx, e.cfg.Store, "alert_history", between(r.scopeParams(), from, to), func(w *row) {
			start, ok := sources[connection{w.Tenant, w.Source}]
			if !ok {
				return
			}
			key := schemas.CellKey("", w.cell(r.By))
			if known[scope][key] == nil {
				known[scope][key] = past{}
			}
			h := known[scope][key][w.Source]
			if h == nil {
				h = &history{series: Series{Start: start}}
				known[scope][key][w.Source] = h
			}
			h.add(w)
		})
		if err != nil {
			return fmt.Errorf("learn what is usual for %s: %w", r.Name, err)
		}
	}
	for _, cells := range known {
		for _, channels := range cells {
			for _, h := range channels {
				h.extend(int(to.Sub(h.series.Start) / time.Hour))
			}
		}
	}
	e.past, e.sources, e.pastTo = known, sources, to
	if whole {
		e.pastSince = now
	}
	return nil
}

// scopeKey is the same for rules that count the same.
func (r *Rule) scopeKey() string {
	p := r.scopeParams()
	r.lateParam(p)
	key := ""
	if r.asksNow() {
		key = r.Name + " "
	}
	for _, k := range slices.Sorted(maps.Keys(p)) {
		key += k + "=" + p[k] + " "
	}
	return key
}
