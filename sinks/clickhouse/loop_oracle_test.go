package clickhouse_test

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/earshot/earshot/processors/calendar"
	"github.com/earshot/earshot/schemas"
)

// threadHistory is what happened to some customers of a few tenants, and an oracle that reads the clocks and the loop off it
// event by event, as one would with pencil and paper.
type threadHistory []schemas.Row

// What moves a clock.
const (
	nothing = iota
	spoke
	asked
	wasAnswered
	resolved
	reopened
)

func markOf(e *schemas.Event, needed bool) int {
	d := &e.Data
	byCustomer := d.ActorKind == "" || d.ActorKind == "customer"
	switch e.Kind {
	case schemas.CustomerInformed:
		return wasAnswered
	case schemas.CaseResolved:
		return resolved
	case schemas.CaseOpened:
		if byCustomer || d.ActorKind == "system" {
			return asked
		}
		return nothing
	case schemas.CaseReopened:
		if byCustomer || d.ActorKind == "system" {
			return asked
		}
		return reopened
	case schemas.AgentResponded, schemas.MessagePosted:
		if d.ActorKind == "agent" {
			if d.Visibility == "internal" {
				return nothing
			}
			return wasAnswered
		}
		if e.Kind == schemas.AgentResponded {
			return nothing
		}
	case schemas.DecisionProposed, schemas.DecisionMade:
		return nothing
	case schemas.DecisionAnswered:
		if byCustomer && needed {
			return asked
		}
		return nothing
	case schemas.FollowupRated:
		return nothing
	}
	switch {
	case !byCustomer:
		return nothing
	case needed:
		return asked
	}
	return spoke
}

func failed(r *schemas.Row) bool {
	d := &r.Event.Data
	return (d.ActorKind == "" || d.ActorKind == "customer") && r.Event.Kind != schemas.AgentResponded && r.Event.Kind != schemas.DecisionAnswered &&
		(r.Labels.Polarity == schemas.Negative || r.Scores.Rating.Valid && r.Scores.Rating.Value <= -0.5)
}

// told is a thread with its events in order.
type told struct {
	tenant, thread string
	lone           bool
	cased          bool // it is a case, not a mere conversation
	rows           []*schemas.Row
}

// place is what an event names: its conversation, or what stands for it, and the case.
type place struct{ own, named string }

func placeOf(e *schemas.Event) place {
	d := &e.Data
	p := place{own: e.Source + "#" + e.ID}
	switch {
	case d.ConversationID != "":
		p.own = d.ConversationID
	case e.Correlation != "":
		p.own = e.Correlation
	case e.Kind == schemas.CaseOpened && e.Causation != "":
		p.own = e.Causation
	case d.CaseID != "":
		p.own = d.CaseID
	}
	switch {
	case d.CaseID != "":
		p.named = d.CaseID
	case d.ConversationID != "":
		p.named = e.Correlation
	}
	return p
}

// product is the goods of a thread: those first named in the part of it, of one place, in which the customer spoke first.
func (t *told) product() (product string) {
	type part struct {
		spoke, began time.Time
		product      string
	}
	parts := map[place]*part{}
	for _, r := range t.rows {
		p := parts[placeOf(r.Event)]
		if p == nil {
			p = &part{began: r.Event.Time}
			parts[placeOf(r.Event)] = p
		}
		p.product = cmp.Or(p.product, r.Event.Data.ProductID)
		if m := markOf(r.Event, r.Labels.ResponseNeeded); p.spoke.IsZero() && (m == spoke || m == asked) {
			p.spoke = r.Event.Time
		}
	}
	const never = 200 * 365 * 24 * time.Hour
	var best time.Time
	for _, p := range parts {
		if p.spoke.IsZero() {
			p.spoke = p.began.Add(never)
		}
		if p.product != "" && (product == "" || p.spoke.Before(best)) {
			product, best = p.product, p.spoke
		}
	}
	return product
}

// threads puts together what belongs together.
func (h threadHistory) threads() []*told {
	opensOn := map[string]bool{}
	for i := range h {
		if e := h[i].Event; e.Kind == schemas.CaseOpened && e.Causation != "" {
			opensOn[e.Tenant+"/"+e.Causation] = true
		}
	}
	places := make([]place, len(h))
	first := map[string]*schemas.Row{} // by tenant and own name: the first event that names a case
	named := map[string]string{}
	for i := range h {
		e := h[i].Event
		p := placeOf(e)
		places[i] = p
		key := e.Tenant + "/" + p.own
		if e.Kind != schemas.SurveySent && p.named != "" && (first[key] == nil || e.Time.Before(first[key].Event.Time)) {
			first[key], named[key] = &h[i], p.named
		}
	}
	byName := map[string]*told{}
	var out []*told
	for i := range h {
		r := &h[i]
		e := r.Event
		if e.Kind == schemas.SurveySent {
			continue
		}
		name := cmp.Or(places[i].named, named[e.Tenant+"/"+places[i].own], places[i].own)
		lone := e.Data.CaseID+e.Data.ConversationID+e.Correlation == "" && !opensOn[e.Tenant+"/"+places[i].own]
		if lone && (!r.Labels.ResponseNeeded && !failed(r) || e.Data.ActorKind != "" && e.Data.ActorKind != "customer") {
			continue
		}
		t := byName[e.Tenant+"/"+name]
		if t == nil {
			t = &told{tenant: e.Tenant, thread: name, lone: lone}
			byName[e.Tenant+"/"+name] = t
			out = append(out, t)
		}
		t.rows = append(t.rows, r)
		t.cased = t.cased || places[i].named != ""
	}
	for _, t := range out {
		slices.SortStableFunc(t.rows, func(a, b *schemas.Row) int {
			return cmp.Or(a.Event.Time.Compare(b.Event.Time), markOf(a.Event, a.Labels.ResponseNeeded)-markOf(b.Event, b.Labels.ResponseNeeded))
		})
	}
	return out
}

// waited is one wait; cycled is one cycle of a case.
type waited struct {
	tenant, thread          string
	cycle                   int
	first                   bool
	started, answer, closed time.Time // zero: never
	unanswered              []string  // texts that wait, of an open wait
}

type cycled struct {
	tenant, thread         string
	cycle                  int
	opened, started, ended time.Time
}

// clocks walks through a thread.
func (t *told) clocks() (waits []waited, cycles []cycled) {
	if t.lone {
		r := t.rows[0]
		if r.Labels.ResponseNeeded {
			waits = []waited{{tenant: t.tenant, thread: t.thread, cycle: 1, first: true, started: r.Event.Time, unanswered: []string{r.Event.Data.Text}}}
		}
		return waits, nil
	}
	type segment struct {
		waited
		begun, needs, opening bool
	}
	var open *segment
	var done []*segment
	everSpoke, expecting := false, true
	before := nothing
	var pending *cycled // a cycle that begins with mere words counts when something follows
	for _, r := range t.rows {
		m, at := markOf(r.Event, r.Labels.ResponseNeeded), r.Event.Time
		if m == nothing {
			continue
		}
		if m == spoke || m == asked {
			if open == nil || before == resolved {
				open = &segment{waited: waited{tenant: t.tenant, thread: t.thread}}
				done = append(done, open)
			}
			if !everSpoke {
				open.opening, open.started = true, at
			}
			if m == asked {
				open.needs = true
				if open.started.IsZero() {
					open.started = at
				}
				open.unanswered = append(open.unanswered, r.Event.Data.Text)
			}
		}
		if expecting && (m == asked || m == reopened || m == spoke && !everSpoke) {
			expecting = false
			pending = &cycled{tenant: t.tenant, thread: t.thread, started: at}
		}
		if pending != nil && m != spoke {
			cycles = append(cycles, *pending)
			pending = nil
		}
		everSpoke = everSpoke || m == spoke || m == asked
		switch m {
		case wasAnswered:
			if open != nil {
				open.answer, open.unanswered, open = at, nil, nil
			}
			for _, s := range done {
				s.unanswered = nil
			}
		case resolved:
			for _, s := range done {
				s.unanswered = nil
			}
			if open != nil && open.closed.IsZero() {
				open.closed = at
			}
			if n := len(cycles); n > 0 && cycles[n-1].ended.IsZero() && !expecting {
				cycles[n-1].ended = at
			}
			expecting, pending = true, nil
		}
		if m != reopened {
			before = m
		}
	}
	if !everSpoke {
		return nil, nil
	}
	for i := range cycles {
		cycles[i].cycle, cycles[i].opened = i+1, cycles[0].started
	}
	last := 0
	for _, s := range done {
		if s.started.IsZero() || !s.needs && (!s.opening || s.answer.IsZero()) {
			continue
		}
		for _, c := range cycles {
			if !c.started.After(s.started) {
				s.cycle = c.cycle
			}
		}
		s.cycle = max(s.cycle, 1)
		s.first = s.cycle != last
		last = s.cycle
		waits = append(waits, s.waited)
	}
	if !t.cased {
		cycles = nil
	}
	return waits, cycles
}

// business is the business time of a tenant between two moments; without hours it is that of the wall.
func business(hours []calendar.Hours, from, to time.Time) time.Duration {
	if len(hours) == 0 {
		return to.Sub(from)
	}
	return calendar.Worked(hours, to) - calendar.Worked(hours, from)
}

// decided is one decision.
type decided struct {
	tenant, thread                       string
	at, made, due, fulfilled, told, said time.Time
	proposed                             bool
	verdict, outcome                     string
	promises                             []time.Time // until when, of those that no other took the place of before that
}

func (t *told) decisions() (out []decided) {
	var open *decided
	for _, r := range t.rows {
		e := r.Event
		switch e.Kind {
		case schemas.DecisionProposed:
			out = append(out, decided{tenant: t.tenant, thread: t.thread, at: e.Time, proposed: true})
			open = &out[len(out)-1]
		case schemas.DecisionAnswered:
			if open != nil {
				open.verdict, open.said = e.Data.Verdict, e.Time
			}
		case schemas.DecisionMade:
			if open == nil || !open.made.IsZero() && !lastWasAnswer(t, r) {
				out = append(out, decided{tenant: t.tenant, thread: t.thread, at: e.Time})
				open = &out[len(out)-1]
			}
			if n := len(open.promises); n > 0 && !open.due.IsZero() && !e.Time.After(open.due) {
				open.promises = open.promises[:n-1]
			}
			open.made, open.outcome, open.due = e.Time, e.Data.Outcome, time.Time{}
			if e.Data.PromiseDue != "" {
				open.due, _ = time.Parse(time.RFC3339, e.Data.PromiseDue)
				open.promises = append(open.promises, open.due)
			}
		}
	}
	for i := range out {
		for _, r := range t.rows {
			e := r.Event
			if out[i].made.IsZero() || e.Time.Before(out[i].made) {
				continue
			}
			if e.Kind == schemas.CaseResolved && out[i].fulfilled.IsZero() {
				out[i].fulfilled = e.Time
			}
			if e.Kind == schemas.CustomerInformed && out[i].told.IsZero() {
				out[i].told = e.Time
			}
		}
	}
	return out
}

// lastWasAnswer says whether the step of the decision before r was the customer's verdict: then a decision made again is
// the sameRows decision, reconsidered.
func lastWasAnswer(t *told, r *schemas.Row) bool {
	was := false
	for _, x := range t.rows {
		if x == r {
			break
		}
		switch x.Event.Kind {
		case schemas.DecisionProposed, schemas.DecisionMade:
			was = false
		case schemas.DecisionAnswered:
			was = true
		}
	}
	return was
}

// looped is where a thread stands in the loop.
type looped struct {
	failed, responded, decided, informed, again time.Time
	letdowns                                    []time.Time // the first failure, and the first after each resolution that followed
	initial, follow                             *float32
	customer                                    string
}

func (t *told) loop() (l looped) {
	var mended time.Time
	for _, r := range t.rows {
		e := r.Event
		m := markOf(e, r.Labels.ResponseNeeded)
		if failed(r) && l.failed.IsZero() {
			l.failed = e.Time
		}
		if r.Scores.Rating.Valid {
			v := r.Scores.Rating.Value
			if e.Kind == schemas.FollowupRated {
				l.follow = &v
			} else if l.initial == nil {
				l.initial = &v
			}
		}
		if r.CustomerKey != "" && (l.customer == "" || m == spoke || m == asked) {
			l.customer = r.CustomerKey // every thread of a threadHistory has one customer at most
		}
	}
	if l.failed.IsZero() {
		return l
	}
	var before time.Time
	for _, r := range t.rows {
		if !failed(r) {
			continue
		}
		at := r.Event.Time
		if before.IsZero() || slices.ContainsFunc(t.rows, func(x *schemas.Row) bool {
			return x.Event.Kind == schemas.CaseResolved && !x.Event.Time.Before(before) && x.Event.Time.Before(at)
		}) {
			l.letdowns = append(l.letdowns, at)
		}
		before = at
	}
	set := func(to *time.Time, at time.Time) {
		if to.IsZero() {
			*to = at
		}
	}
	for _, r := range t.rows {
		e := r.Event
		if e.Time.Before(l.failed) {
			continue
		}
		if markOf(e, r.Labels.ResponseNeeded) == wasAnswered {
			set(&l.responded, e.Time)
		}
		switch {
		case e.Kind == schemas.DecisionMade:
			set(&l.decided, e.Time)
		case e.Kind == schemas.CustomerInformed && !l.decided.IsZero():
			set(&l.informed, e.Time)
		case e.Kind == schemas.CaseResolved:
			set(&mended, e.Time)
		case failed(r) && !mended.IsZero():
			set(&l.again, e.Time)
		}
	}
	return l
}

func name(tenant, thread string, n any) string { return fmt.Sprintf("%s %s %v", tenant, thread, n) }
