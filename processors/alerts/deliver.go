package alerts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/earshot/earshot/schemas"
)

// Order is a delivery that is to be made now.
type Order struct {
	Delivery
	Alert schemas.Alert // as it is to be told
	Again bool          // it may have been told already, by a process that was killed meanwhile or an attempt whose answer did not come
}

// Orders hands out what is due and not yet in flight. Only what is stored is handed out, so that a process that is killed
// between the two finds it again; and what was handed out before, it hands out again under the same [Delivery.Key]. That an
// attempt at a receiver without memory begins is stored before it is handed out: who finds that, and no outcome, knows that
// it may have been told. The error is that of the journal; nothing is handed out then.
func (e *Evaluator) Orders(ctx context.Context, now time.Time) ([]Order, error) {
	if e.state == nil || e.dirty {
		return nil, nil
	}
	var out []Order
	for _, d := range e.state.Due(now) {
		a, flight := e.state.Alerts[d.Alert], d.Receiver+" "+d.Key()
		if a == nil || e.inFlight[flight] {
			continue
		}
		told := a.Alert
		if !d.Resolved {
			told.ResolvedAt = time.Time{} // its end is told by itself
		}
		if !d.Resolved && !d.Acked {
			told.AckedBy, told.AckedAt = "", time.Time{} // as is this
		}
		out = append(out, Order{d, told, !d.Begun.IsZero() || d.Unsure})
		if slices.Contains(e.cfg.Forgetful, d.Receiver) {
			e.state.begin(&d, now)
			e.dirty = true
		}
	}
	if e.dirty {
		if err := e.commit(ctx, now, nil, nil); err != nil {
			return nil, err
		}
	}
	for _, o := range out {
		e.inFlight[o.Receiver+" "+o.Key()] = true
	}
	return out, nil
}

// Done reports how a delivery went; it is stored with the next step, or at once if it failed for good. A fault whose method
// Permanent says so is not tried again; after one whose method Ambiguous says so it may have been told all the same.
func (e *Evaluator) Done(ctx context.Context, o Order, now time.Time, fault error) (dead bool, err error) {
	flight := o.Receiver + " " + o.Key()
	delete(e.inFlight, flight)
	if fault == nil {
		e.made[flight] = o
	}
	if e.state == nil {
		return false, nil
	}
	var p interface{ Permanent() bool }
	final := errors.As(fault, &p) && p.Permanent()
	gone := e.state.Delivered(o.Delivery, now, fault, final)
	e.dirty = true
	if gone == nil {
		return false, nil
	}
	return true, e.commit(ctx, now, nil, []schemas.Outcome{e.bury(gone)})
}

// Flush stores what [Evaluator.Done] reported, and waits for what is being counted, whose context must be over; call it before
// the end.
func (e *Evaluator) Flush(ctx context.Context, now time.Time) error {
	if e.behind != nil {
		select {
		case <-e.behind:
		case <-ctx.Done():
		}
		e.behind = nil
	}
	if e.state == nil || !e.dirty {
		return nil
	}
	return e.commit(ctx, now, nil, nil)
}

// Firing lists the open alerts that were handed out for delivery, for receivers that want to be reminded.
func (e *Evaluator) Firing() []schemas.Alert {
	if e.state == nil {
		return nil
	}
	var out []schemas.Alert
	for _, a := range e.state.Alerts {
		if !a.Resolved() && a.Paged {
			out = append(out, a.Alert)
		}
	}
	slices.SortFunc(out, func(a, b schemas.Alert) int { return a.RaisedAt.Compare(b.RaisedAt) })
	return out
}

// buried is what a dead letter holds.
type buried struct {
	Delivery *Delivery      `json:"delivery"`
	Alert    *schemas.Alert `json:"alert"`
}

// bury is the dead letter of a delivery that was given up.
func (e *Evaluator) bury(d *Delivery) schemas.Outcome {
	letter := buried{Delivery: d}
	header := map[string]string{
		schemas.HeaderReason:   string(schemas.ReasonRetryExhausted),
		schemas.HeaderDetail:   fmt.Sprintf("alert %s to receiver %s: given up after %d attempts: %s", d.Alert, d.Receiver, d.Attempts, d.Fault),
		schemas.HeaderReceived: d.At.UTC().Format(time.RFC3339Nano),
	}
	if d.Letter != "" {
		header[schemas.HeaderReplay] = d.Letter
	}
	if a := e.state.Alerts[d.Alert]; a != nil {
		letter.Alert = &a.Alert
		header[schemas.HeaderSubject] = "feedback.alerts." + schemas.Token(a.Cell["tenant"]) + "." + schemas.Token(a.Cell["channel"])
	}
	body, err := json.Marshal(letter)
	if err != nil { // as in commit
		panic(fmt.Sprintf("encode dead letter %s: %v", d.Key(), err))
	}
	return schemas.Outcome{
		Subject: schemas.DeadSubject(schemas.AlertShard, schemas.ReasonRetryExhausted),
		ID:      fmt.Sprintf("%s-t%d-%s", d.Key(), d.At.UnixNano(), schemas.Token(d.Receiver)), // one that was replayed may die again
		Header:  header,
		Data:    body,
	}
}

// Requeue puts a delivery that became a dead letter back into the outbox. Where it waits there already nothing happens. The
// receiver of an alert that is over meanwhile is told its end as well.
func Requeue(ctx context.Context, j Journal, letter string, body []byte, now time.Time) error {
	var b buried
	if err := json.Unmarshal(body, &b); err != nil || b.Delivery == nil || b.Alert == nil {
		return fmt.Errorf("the letter %s holds no delivery of an alert that is known: it cannot be replayed; discard it", letter)
	}
	return Edit(ctx, j, func(s *State) error {
		d := Delivery{Receiver: b.Delivery.Receiver, Alert: b.Delivery.Alert, Resolved: b.Delivery.Resolved, Acked: b.Delivery.Acked, Unsure: b.Delivery.Unsure,
			At: now, Next: now, Letter: letter}
		if s.find(&d) >= 0 {
			return nil
		}
		if s.Alerts[d.Alert] == nil { // not open any more, or not told of for so long that it was forgotten
			a := &Open{Alert: *b.Alert, Paged: true, AckTold: true}
			if !a.Resolved() {
				a.ResolvedAt = now
			}
			s.Alerts[d.Alert] = a
		}
		s.Outbox = append(s.Outbox, d)
		if end := (Delivery{Receiver: d.Receiver, Alert: d.Alert, Resolved: true, At: now, Next: now}); s.Alerts[d.Alert].Resolved() && s.find(&end) < 0 {
			s.Outbox = append(s.Outbox, end)
		}
		return nil
	})
}

// Edit changes the stored state in the name of a person: it loads it, applies change and stores it, again if the evaluator
// wrote it meanwhile.
func Edit(ctx context.Context, j Journal, change func(*State) error) error {
	for attempt := 1; ; attempt++ {
		s, seq, err := Read(ctx, j)
		if err != nil {
			return err
		}
		if err := change(s); err != nil {
			return err
		}
		document, err := json.Marshal(s)
		if err != nil {
			return err
		}
		switch _, err = j.Swap(ctx, document, seq, nil); {
		case err == nil:
			return nil
		case !errors.Is(err, schemas.ErrLost) || attempt == 20:
			return err
		}
	}
}

// Read returns the stored state; an empty one where there is none yet.
func Read(ctx context.Context, j Journal) (*State, uint64, error) {
	document, seq, err := j.Load(ctx)
	if err != nil {
		return nil, 0, err
	}
	s := NewState()
	if document != nil {
		if err := json.Unmarshal(document, s); err != nil {
			return nil, 0, fmt.Errorf("read the alerts at %d: %w", seq, err)
		}
	}
	return s, seq, nil
}
