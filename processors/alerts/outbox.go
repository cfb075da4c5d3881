package alerts

import (
	"errors"
	"maps"
	"slices"
	"time"
)

// Delivery is one thing that is to be told to one receiver, and has not been.
type Delivery struct {
	Receiver string    `json:"receiver"`
	Alert    string    `json:"alert"`           // id
	Resolved bool      `json:"resolved"`        // whether its end is told, or its beginning
	Acked    bool      `json:"acked,omitempty"` // that somebody looks after it is told
	At       time.Time `json:"at"`              // when it came about
	Attempts int       `json:"attempts"`
	Next     time.Time `json:"next"` // not to be tried before
	Fault    string    `json:"fault,omitempty"`
	Begun    time.Time `json:"begun,omitzero"`   // an attempt was begun and its outcome is not known; of [Config.Forgetful] receivers
	Unsure   bool      `json:"unsure,omitempty"` // an attempt before may have told it: of the same
	Letter   string    `json:"letter,omitempty"` // the dead letter that it was before
}

// Key names the delivery the same at every attempt, so that a receiver can drop a repetition.
func (d *Delivery) Key() string {
	switch {
	case d.Resolved:
		return d.Alert + "-resolved"
	case d.Acked:
		return d.Alert + "-acked"
	}
	return d.Alert + "-raised"
}

// tell puts the beginning or the end of an alert into the outbox, for each receiver.
func (s *State) tell(now time.Time, a *Open, receivers []string) {
	s.post(Delivery{Alert: a.ID, Resolved: a.Resolved(), At: now, Next: now}, receivers)
}

// Acknowledge tells those who want to know that somebody looks after an alert, once each. It says whether there was anything
// to tell.
func (s *State) Acknowledge(now time.Time, receivers []string) bool {
	told := false
	for _, id := range slices.Sorted(maps.Keys(s.Alerts)) {
		a := s.Alerts[id]
		if a.AckedBy == "" || a.AckTold || a.Resolved() {
			continue
		}
		a.AckTold, told = true, true
		d := Delivery{Alert: id, Acked: true, At: now, Next: now}
		s.post(d, []string{Table})
		if a.Paged { // of one that was held back nobody knows
			s.post(d, receivers)
		}
	}
	return told
}

func (s *State) post(d Delivery, receivers []string) {
	for _, d.Receiver = range receivers {
		if len(s.Outbox) >= maxOutbox && !s.makeRoom() {
			d.Fault = letGo
			s.Lost = append(s.Lost, d)
			continue
		}
		s.Outbox = append(s.Outbox, d)
	}
}

// Retry plan of a delivery: the pause doubles from [firstPause] to [longestPause], and after [Budget] it is given up.
const (
	firstPause   = time.Second
	longestPause = 5 * time.Minute
	Budget       = 24 * time.Hour // how long a receiver may be away before what it was to be told becomes a dead letter
)

// Due lists what is to be delivered now: of each receiver and alert the oldest only, so that an end never overtakes its
// beginning.
func (s *State) Due(now time.Time) []Delivery {
	var due []Delivery
	type lane struct{ receiver, alert string }
	seen := map[lane]bool{}
	for _, d := range s.Outbox {
		l := lane{d.Receiver, d.Alert}
		if !seen[l] && !now.Before(d.Next) {
			due = append(due, d)
		}
		seen[l] = true
	}
	return due
}

// find is the place of a delivery in the outbox; -1: it is not there any more.
func (s *State) find(d *Delivery) int {
	return slices.IndexFunc(s.Outbox, func(o Delivery) bool { return o.Receiver == d.Receiver && o.Key() == d.Key() })
}

// begin notes that an attempt begins.
func (s *State) begin(d *Delivery, now time.Time) {
	if i := s.find(d); i >= 0 {
		s.Outbox[i].Begun = now
	}
}

// Delivered notes how an attempt ended. A fault that is final, or one too many, gives the delivery up; it is then returned,
// to become a dead letter.
func (s *State) Delivered(d Delivery, now time.Time, fault error, final bool) (dead *Delivery) {
	i := s.find(&d)
	if i < 0 {
		return nil
	}
	o := &s.Outbox[i]
	if fault != nil {
		o.Attempts++
		var a interface{ Ambiguous() bool }
		if !o.Begun.IsZero() && (!d.Begun.IsZero() || errors.As(fault, &a) && a.Ambiguous()) {
			o.Unsure = true // for ever: that the next attempt fails clearly says nothing of this one
		}
		o.Begun = time.Time{}
		o.Fault = fault.Error()
		o.Next = now.Add(min(firstPause<<min(o.Attempts-1, 20), longestPause))
		if d.Receiver == Table || !final && now.Sub(o.At) < Budget {
			return nil
		}
		gone := *o
		dead = &gone
	}
	s.Outbox = slices.Delete(s.Outbox, i, i+1)
	s.forget(s.Lost)
	return dead
}
