package alerts_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/earshot/earshot/processors/alerts"
	"github.com/earshot/earshot/schemas"
)

// A process that is killed between "fired" and "sent", or between "sent" and "noted", leaves one page, by its key.
func TestKilledBetweenFiredAndSent(t *testing.T) {
	w := newWorld(t)
	w.weeks("acme", 5)
	w.crowd("acme", 0, 10, 20, "Crashes", schemas.Negative, false)
	w.save()
	now := noon.Add(10 * time.Minute)
	first := w.evaluator(spikeRule)
	if r, err := first.Step(t.Context(), now); err != nil || len(r.Changes) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	// Killed here: nothing was sent.
	second := w.evaluator(spikeRule)
	if _, err := second.Step(t.Context(), now.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	orders := w.orders(second, now.Add(time.Second))
	if len(orders) != 2 {
		t.Fatalf("the heir has %d deliveries to make, want the table's and the pager's", len(orders))
	}
	if again := w.orders(second, now.Add(2*time.Second)); len(again) > 0 {
		t.Errorf("what is in flight is handed out again: %+v", again)
	}
	// Killed here: sent, and not noted.
	third := w.evaluator(spikeRule)
	if _, err := third.Step(t.Context(), now.Add(2*time.Second)); err != nil {
		t.Fatal(err)
	}
	repeated := w.orders(third, now.Add(2*time.Second))
	if len(repeated) != 2 || repeated[1].Key() != orders[1].Key() {
		t.Fatalf("the repetition has another key: %+v", repeated)
	}
	for _, o := range repeated {
		if _, err := third.Done(t.Context(), o, now, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := third.Flush(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	// The first, which was not dead after all, finds that it has been replaced, and stands by.
	if _, err := first.Step(t.Context(), now.Add(time.Minute)); err == nil {
		t.Error("a process that was replaced wrote the state")
	}
	if r, err := first.Step(t.Context(), now.Add(time.Minute)); err != nil || !r.Standby {
		t.Errorf("it does not stand by: %+v, %v", r, err)
	}
	for i := range 3 { // until the other has stood still for long enough
		if _, err := first.Step(t.Context(), now.Add(time.Minute+time.Duration(i)*10*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := first.Step(t.Context(), now.Add(2*time.Minute)); err != nil || r.Standby || r.Open != 1 || len(w.orders(first, now.Add(2*time.Minute))) != 0 {
		t.Errorf("after the takeover: %+v, %v; want the one alert open and nothing to send", r, err)
	}
}

// A receiver that cannot tell a repetition from news is told that something may be one, exactly when it may: not after a kill
// before the attempt and not after one that failed, but after a kill within one.
func TestARepetitionSaysThatItMayBeOne(t *testing.T) {
	w := newWorld(t)
	w.say(noon, "acme", "c1", "my lawyer", schemas.Neutral)
	w.save()
	heir := func() *alerts.Evaluator {
		rules, err := alerts.ParseRules("test", []byte("rules: [{alert: Lawyer, detector: threshold, where: {words: [lawyer]}}]"))
		if err != nil {
			t.Fatal(err)
		}
		w.seq++
		return alerts.New(alerts.Config{Rules: rules, Receivers: []string{"chat", "pager"}, Forgetful: []string{"chat"}, Owner: fmt.Sprint("heir", w.seq), Store: w.store, Journal: w.journal()})
	}
	now := noon
	var e *alerts.Evaluator
	step := func() map[string]alerts.Order {
		now = now.Add(2 * time.Second)
		if _, err := e.Step(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		out := map[string]alerts.Order{}
		for _, o := range w.orders(e, now) {
			out[o.Receiver] = o
		}
		return out
	}
	e = heir()
	if _, err := e.Step(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	e = heir() // killed between fired and sent
	first := step()
	if o, ok := first["chat"]; !ok || o.Again {
		t.Fatalf("nothing was begun, and the chat is told %+v", o)
	}
	for _, o := range first {
		if _, err := e.Done(t.Context(), o, now, fmt.Errorf("503")); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Flush(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	e = heir() // killed between two attempts
	if o, ok := step()["chat"]; !ok || o.Again {
		t.Fatalf("the attempt had failed, and the chat is told %+v", o)
	}
	e = heir() // killed within the attempt
	last := step()
	defer func() { // and says so for as long as it is tried, however clearly it fails later
		for _, o := range last {
			if _, err := e.Done(t.Context(), o, now, fmt.Errorf("503")); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(10 * time.Minute)
		if o, ok := step()["chat"]; !ok || !o.Again {
			t.Errorf("an attempt that failed hides the one before: %+v", o)
		}
	}()
	for receiver, again := range map[string]bool{"chat": true, "pager": false} {
		before, o := first[receiver], last[receiver]
		if o.Again != again || o.Key() != before.Key() {
			t.Errorf("it may have been told, and %s is told %+v after %+v", receiver, o, before)
		}
	}
}

// noAnswer is a fault after which nobody knows.
type noAnswer struct{ error }

func (noAnswer) Ambiguous() bool { return true }

// After a time-out the other side may have it: what is told again says so, also after a clear refusal.
func TestAfterATimeOutItMayBeARepetition(t *testing.T) {
	w := newWorld(t)
	w.say(noon, "acme", "c1", "my lawyer", schemas.Neutral)
	w.save()
	rules, err := alerts.ParseRules("test", []byte("rules: [{alert: Lawyer, detector: threshold, where: {words: [lawyer]}, keep_firing_for: 6h}]"))
	if err != nil {
		t.Fatal(err)
	}
	e := alerts.New(alerts.Config{Rules: rules, Receivers: []string{"chat"}, Forgetful: []string{"chat"}, Owner: "o", Store: w.store, Journal: w.journal()})
	for i, c := range []struct {
		again bool
		fault error
	}{{false, fmt.Errorf("503")}, {false, noAnswer{fmt.Errorf("time-out")}}, {true, fmt.Errorf("503")}, {true, nil}} {
		now := noon.Add(time.Duration(i)*10*time.Minute + 2*time.Second)
		if _, err := e.Step(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		chat := 0
		for _, o := range w.orders(e, now) {
			var fault error
			if o.Receiver == "chat" {
				chat++
				if fault = c.fault; o.Again != c.again {
					t.Errorf("attempt %d: may be a repetition: %v, want %v", i, o.Again, c.again)
				}
			}
			if _, err := e.Done(t.Context(), o, now, fault); err != nil {
				t.Fatal(err)
			}
		}
		if chat != 1 {
			t.Errorf("attempt %d: %d deliveries to the chat", i, chat)
		}
	}
}

// Who looks after an alert is told once to those who want to know, and not of an alert that was held back.
func TestAnAcknowledgementIsToldOnce(t *testing.T) {
	w := newWorld(t)
	w.say(noon, "acme", "c1", "my lawyer", schemas.Neutral)
	w.say(noon, "muted", "c2", "my lawyer", schemas.Neutral)
	w.save()
	if err := alerts.Edit(t.Context(), w.journal(), func(s *alerts.State) error {
		s.Mutes = append(s.Mutes, alerts.Mute{ID: "m", Match: map[string]string{"tenant": "muted"}, Until: noon.Add(time.Hour)})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	rules, err := alerts.ParseRules("test", []byte("rules: [{alert: Lawyer, detector: threshold, where: {words: [lawyer]}}]"))
	if err != nil {
		t.Fatal(err)
	}
	e := alerts.New(alerts.Config{Rules: rules, Receivers: []string{"mail", "pager"}, Listeners: []string{"pager"}, Owner: "o", Store: w.store, Journal: w.journal()})
	var told []string
	for second := 1; second < 12; second++ {
		now := noon.Add(time.Duration(second) * time.Second)
		e.Step(t.Context(), now) // one meets the person's write
		for _, o := range w.orders(e, now) {
			if o.Receiver != alerts.Table {
				told = append(told, fmt.Sprint(o.Receiver, " ", o.Alert.Cell["tenant"], " acked=", o.Acked, " by=", o.Alert.AckedBy))
			}
			if _, err := e.Done(t.Context(), o, now, nil); err != nil {
				t.Fatal(err)
			}
		}
		if second == 4 {
			if err := alerts.Edit(t.Context(), w.journal(), func(s *alerts.State) error {
				for id := range s.Alerts {
					if err := s.Ack(id, "anna", now); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := []string{"mail acme acked=false by=", "pager acme acked=false by=", "pager acme acked=true by=anna"}
	if !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

// What a person changes and what the evaluator changes meet without either being lost.
func TestAPersonAcksBesideTheEvaluator(t *testing.T) {
	w := newWorld(t)
	w.weeks("acme", 5)
	w.crowd("acme", 0, 10, 20, "Crashes", schemas.Negative, false)
	w.save()
	e, c := w.evaluator(spikeRule), &collector{t: t}
	c.step(t.Context(), e, 10)
	s, _, err := alerts.Read(t.Context(), w.journal())
	if err != nil || len(s.Alerts) != 1 {
		t.Fatalf("%+v, %v", s, err)
	}
	for id := range s.Alerts {
		if err := alerts.Edit(t.Context(), w.journal(), func(s *alerts.State) error { return s.Ack(id[:8], "anna", noon) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := alerts.Edit(t.Context(), w.journal(), func(s *alerts.State) error { return s.Ack("ffff", "anna", noon) }); err == nil {
		t.Error("an alert that is not there was acknowledged")
	}
	for minute := 11; minute < 14; minute++ { // the first meets the person's write
		e.Step(t.Context(), noon.Add(time.Duration(minute)*time.Minute))
	}
	s, _, err = alerts.Read(t.Context(), w.journal())
	if err != nil || len(s.Alerts) != 1 || len(s.Outbox) != 1 || !s.Outbox[0].Acked { // the table's
		t.Fatalf("%+v, %v", s, err)
	}
	for _, a := range s.Alerts {
		if a.AckedBy != "anna" {
			t.Errorf("the acknowledgement is lost: %+v", a)
		}
	}
}
