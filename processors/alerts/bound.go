package alerts

import (
	"encoding/json"
	"slices"

	"github.com/earshot/earshot/schemas"
)

// mostBytes is the longest document that is stored while anything can be let go of: half of what one message of the log may
// hold, so that an edit by a person always has room.
const mostBytes = 512 << 10

// letGo is the fault of a delivery that was let go of.
const letGo = "let go of: too much was waiting for receivers that are away"

// encode is the state as it is stored. It is never longer than [mostBytes] because of a receiver that is away: nobody would
// be alerted of anything any more. What was let go of for that becomes dead letters among the outcomes.
func (e *Evaluator) encode(outcomes []schemas.Outcome) ([]byte, []schemas.Outcome, error) {
	for {
		for len(e.state.Lost) > 0 && len(outcomes) < mostOutcomes {
			outcomes = append(outcomes, e.bury(&e.state.Lost[0]))
			e.state.Lost = e.state.Lost[1:]
			e.buried++
		}
		e.state.forget(nil)
		document, err := json.Marshal(e.state)
		if err != nil || len(document) <= mostBytes || !e.state.shed() {
			return document, outcomes, err
		}
	}
}

// shed makes the state smaller by what is missed least, and says whether there was anything. An eighth at a time, so that few
// rounds are enough and not much more goes than must.
func (s *State) shed() bool {
	kept := map[string]bool{}
	for _, d := range s.Outbox {
		kept[d.Alert] = kept[d.Alert] || d.Receiver == Table
	}
	return s.unquote(func(a *Open) bool { return a.Resolved() && !kept[a.ID] }) ||
		s.makeRoom() ||
		s.forgetCells(Rested) ||
		s.unquote(func(*Open) bool { return true }) ||
		s.forgetCells(Pending) ||
		s.drop(func(*Delivery) bool { return true })
}

// makeRoom lets go of deliveries to receivers that are away, of alerts that are over before others. It says whether there
// were any.
func (s *State) makeRoom() bool {
	away := map[string]bool{}
	for _, d := range s.Outbox {
		away[d.Receiver] = away[d.Receiver] || d.Attempts > 0 && d.Receiver != Table
	}
	over := func(d *Delivery) bool { a := s.Alerts[d.Alert]; return a == nil || a.Resolved() }
	return s.drop(func(d *Delivery) bool { return away[d.Receiver] && over(d) }) ||
		s.drop(func(d *Delivery) bool { return away[d.Receiver] })
}

// unquote drops the quotes of some alerts.
func (s *State) unquote(of func(*Open) bool) bool {
	some := false
	for _, a := range s.Alerts {
		if len(a.Quotes) > 0 && of(a) {
			a.Quotes, some = nil, true
		}
	}
	return some
}

// drop lets go of the oldest deliveries among some, of the receiver that most of them are for.
func (s *State) drop(some func(*Delivery) bool) bool {
	most, n := "", map[string]int{}
	for i := range s.Outbox {
		if d := &s.Outbox[i]; some(d) {
			if n[d.Receiver]++; n[d.Receiver] > n[most] {
				most = d.Receiver
			}
		}
	}
	left := (n[most] + 7) / 8
	s.Outbox = slices.DeleteFunc(s.Outbox, func(d Delivery) bool {
		if left == 0 || d.Receiver != most || !some(&d) {
			return false
		}
		left--
		d.Fault = letGo
		s.Lost = append(s.Lost, d)
		return true
	})
	return most != ""
}

// forgetCells forgets the cells that are in a phase for longest.
func (s *State) forgetCells(p Phase) bool {
	var keys []string
	for key, c := range s.Cells {
		if c.Phase == p {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b string) int { return s.Cells[a].Since.Compare(s.Cells[b].Since) })
	for _, key := range keys[:(len(keys)+7)/8] {
		delete(s.Cells, key)
	}
	return len(keys) > 0
}
