package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/earshot/earshot/schemas"
)

// accepted is the answer to a request whose events are committed, in the order of the request.
type accepted struct {
	Accepted int      `json:"accepted"`
	IDs      []string `json:"ids"`       // as the producer named them
	EventIDs []string `json:"event_ids"` // as every table of Earshot names them
}

// publish hands the events to the log, in the bytes given, and answers the request.
func (g *Gateway) publish(w http.ResponseWriter, r *http.Request, events []*schemas.Event, raw [][]byte) {
	answer, ok := g.commit(w, r, events, raw)
	if !ok {
		return
	}
	body, err := json.Marshal(answer)
	if err != nil {
		panic(err) // strings only: it cannot happen
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(http.StatusAccepted)
	w.Write(append(body, '\n')) // a client that has gone will send again, and be counted as a duplicate
}

// commit hands the events to the log, in the bytes given. ok is false when they were not taken and the request has been
// answered.
func (g *Gateway) commit(w http.ResponseWriter, r *http.Request, events []*schemas.Event, raw [][]byte) (answer accepted, ok bool) {
	if !g.genuine(w, events) || !g.allowed(w, r, events) {
		return answer, false
	}
	if wait := g.clients.take(r, g.cfg.Now(), len(events)); wait > 0 {
		g.countAll(events, outcomeLimited)
		writeProblem(w, tooFast(wait))
		return answer, false
	}
	msgs := make([]schemas.Message, len(events))
	answer = accepted{Accepted: len(events), IDs: make([]string, len(events)), EventIDs: make([]string, len(events))}
	for i, e := range events {
		shard := schemas.Shard(e.PartitionKey(), g.cfg.Shards)
		msgs[i] = schemas.Message{Shard: shard, Subject: e.LogSubject(shard), Header: g.header, Data: raw[i]}
		answer.IDs[i], answer.EventIDs[i] = e.ID, e.Identity().String()
	}
	ctx, cancel := context.WithTimeout(r.Context(), g.cfg.PublishTimeout)
	defer cancel()
	if err := g.cfg.Log.Publish(ctx, msgs); err != nil {
		g.refused(w, events, err)
		return answer, false
	}
	if g.failing.CompareAndSwap(true, false) {
		g.cfg.Logger.Info().Msg("the log takes events again")
	}
	g.countAll(events, outcomeAccepted)
	return answer, true
}

// genuine refuses what only a node writes, from whomever it comes: the receipt of an erasure. ok is false when the request
// has been answered.
func (g *Gateway) genuine(w http.ResponseWriter, events []*schemas.Event) (ok bool) {
	var list []fault
	for i, e := range events {
		if e.Kind == schemas.CustomerEraseDone {
			list = append(list, faults(i, schemas.Problems{{Field: "type", Value: e.Type, Bound: schemas.CustomerEraseRequested.Type(), Detail: "is a receipt, which only a node that erased a customer writes", Reason: schemas.ReasonSchema}})...)
		}
	}
	if len(list) > 0 {
		g.metrics.count(noChannel, outcomeInvalid, len(list))
		writeProblem(w, invalid(len(events), len(list), list))
	}
	return len(list) == 0
}

// refused answers for a log that did not take the events.
func (g *Gateway) refused(w http.ResponseWriter, events []*schemas.Event, err error) {
	if errors.Is(err, schemas.ErrBusy) {
		g.countAll(events, outcomeBusy)
		writeProblem(w, problem{Type: typeBusy, Status: http.StatusServiceUnavailable, retryAfter: time.Second,
			Detail: "more is coming in than the log can write; nothing was stored, send again later"})
		return
	}
	g.countAll(events, outcomeUnavailable)
	canceled, late := errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded)
	// A client that hung up says nothing about the log.
	if !canceled && g.failing.CompareAndSwap(false, true) {
		g.cfg.Logger.Error().Err(err).Msg("the log does not take events; clients are told to send again until it does")
	}
	if !canceled && !late && !errors.Is(err, schemas.ErrUnavailable) {
		// What the contract lets pass the log must take, so this is a fault of ours, and sending again may not help.
		writeProblem(w, problem{Type: typeInternal, Status: http.StatusInternalServerError,
			Detail: "the log refuses these events although they keep the contract; the gateway's own log says why"})
		return
	}
	writeProblem(w, problem{Type: typeUnavailable, Status: http.StatusServiceUnavailable, retryAfter: 5 * time.Second,
		Detail: "the log did not confirm the write; send the same events again, what is stored already is not stored twice"})
}

// countAll counts the events by channel.
func (g *Gateway) countAll(events []*schemas.Event, outcome string) {
	for i := 0; i < len(events); { // runs of one channel are the rule
		j := i + 1
		for j < len(events) && events[j].Data.Channel == events[i].Data.Channel {
			j++
		}
		g.metrics.count(events[i].Data.Channel, outcome, j-i)
		i = j
	}
}

func tooFast(wait time.Duration) problem {
	return problem{Type: typeRate, Status: http.StatusTooManyRequests, retryAfter: wait,
		Detail: "this address sends more events than it may; nothing was stored, send again after the time given"}
}
