package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot/earshot/schemas"
)

// Erasure is what erasing a customer needs of the broker: it finds messages and removes them such that their bytes are
// overwritten. Every method can be repeated; what is gone already is no error.
type Erasure struct {
	ledger
	shards []*Shard // for their positions and ledgers; their events are not read
}

// OpenErasure looks the shards' streams up. nc must be the connection of js.
func OpenErasure(ctx context.Context, js jetstream.JetStream, nc *nats.Conn, shards int) (*Erasure, error) {
	e := &Erasure{ledger: ledger{js, nc}}
	for i := range shards {
		s, err := OpenShard(ctx, js, nc, i)
		if err != nil {
			return nil, err
		}
		e.shards = append(e.shards, s)
	}
	return e, nil
}

// Requests lists the requests that the log holds, the oldest first in each shard. One that cannot be read is none: it is a
// dead letter.
func (e *Erasure) Requests(ctx context.Context) (out []schemas.EraseRequest, err error) {
	for i, s := range e.shards {
		err := e.sweep(ctx, s.name, requestSubjects(), func(m *found) error {
			ev, problems := schemas.DecodeRecord(&m.Record)
			if len(problems) == 0 && ev.Kind == schemas.CustomerEraseRequested && ev.Customer() != "" {
				out = append(out, schemas.EraseRequest{Shard: i, Epoch: s.epoch, Seq: m.Seq, Received: m.Time, Tenant: ev.Tenant, Customer: ev.Customer(), ID: ev.Identity()})
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("look for requests to erase in shard %d: %w", i, err)
		}
	}
	return out, nil
}

// requestSubjects are the subjects of requests: as stored, and as an adapter publishes them where the server maps nothing.
func requestSubjects() []string {
	kind := string(schemas.CustomerEraseRequested)
	return []string{"feedback.*.*.*." + kind, "feedback.in.*.*." + kind + ".*"}
}

// Settled says whether everything the log had received before the request is dealt with, and was so for the age: until
// then a power cut may take rows back, and their messages are needed to bring them in again.
func (e *Erasure) Settled(ctx context.Context, r *schemas.EraseRequest, age time.Duration) (bool, error) {
	for i, s := range e.shards {
		end := r.Seq
		if i != r.Shard {
			next, err := s.Since(ctx, r.Received)
			if err != nil {
				return false, err
			}
			end = next - 1
		}
		l, err := s.Load(ctx)
		if err != nil {
			return false, err
		}
		if end == 0 {
			continue
		}
		if l.Checkpoint == nil || l.Checkpoint.Hi < end || l.Checkpoint.Outcomes > 0 {
			return false, nil
		}
		for _, m := range l.Checkpoint.Recent {
			if m.Lo <= end && time.Since(m.At) < age {
				return false, nil
			}
		}
	}
	return true, nil
}

// Log removes the messages of the log that match, of those received before the request.
func (e *Erasure) Log(ctx context.Context, r *schemas.EraseRequest, match func(*schemas.Record) bool) (n uint64, err error) {
	for i, s := range e.shards {
		st, err := e.js.Stream(ctx, s.name)
		if err != nil {
			return n, err
		}
		err = e.sweep(ctx, s.name, nil, func(m *found) error {
			switch {
			case i == r.Shard && m.Seq >= r.Seq, i != r.Shard && m.Time.Truncate(time.Millisecond).After(r.Received.Truncate(time.Millisecond)): // as exact as rows are
				return errEnough
			case !match(&m.Record):
				return nil
			}
			n++
			return remove(ctx, st, m.Seq)
		})
		if err != nil {
			return n, fmt.Errorf("erase from shard %d of the log: %w", i, err)
		}
	}
	return n, nil
}

// Letters removes the dead letters that match. In the place of a letter of an event stays one without its content, so that
// the account of the log still adds up; the deliveries of alerts that failed leave nothing.
func (e *Erasure) Letters(ctx context.Context, match func(*schemas.Record) bool) (n uint64, err error) {
	for _, name := range []string{schemas.OutcomesStream, schemas.DeadLettersStream} {
		st, err := e.js.Stream(ctx, name)
		if err != nil {
			return n, err
		}
		err = e.sweep(ctx, name, []string{schemas.DeadSubjects}, func(m *found) error {
			if m.Header[schemas.HeaderErased] != "" || !match(&m.Record) {
				return nil
			}
			if name == schemas.OutcomesStream {
				if err := e.leave(ctx, m); err != nil {
					return err
				}
				n++
			}
			return remove(ctx, st, m.Seq)
		})
		if err != nil {
			return n, fmt.Errorf("erase from %s: %w", name, err)
		}
	}
	return n, nil
}

// leave puts a letter without content in the place of one.
func (e *Erasure) leave(ctx context.Context, m *found) error {
	id, ok := schemas.ParseLetterID(m.Header[HeaderOutcomeID])
	if !ok {
		return nil
	}
	stub := nats.NewMsg(schemas.DeadSubject(id.Shard, schemas.ReasonErased))
	for _, h := range []string{HeaderOutcomeID, schemas.HeaderStream, schemas.HeaderSequence, schemas.HeaderSubject, schemas.HeaderReceived} {
		if v := m.Header[h]; v != "" {
			stub.Header.Set(h, v)
		}
	}
	stub.Header.Set(schemas.HeaderReason, string(schemas.ReasonErased))
	stub.Header.Set(schemas.HeaderErased, "1")
	_, err := e.js.PublishMsg(ctx, stub, jetstream.WithMsgID("erased-"+id.String())) // of two that are at it, one counts
	return err
}

// Insights removes the announcements that match, of events and of alerts.
func (e *Erasure) Insights(ctx context.Context, match func(*schemas.Record) bool) (n uint64, err error) {
	for _, name := range []string{schemas.OutcomesStream, schemas.InsightsStream} {
		st, err := e.js.Stream(ctx, name)
		if err != nil {
			return n, err
		}
		err = e.sweep(ctx, name, []string{schemas.InsightSubjects}, func(m *found) error {
			if !match(&m.Record) {
				return nil
			}
			if name == schemas.OutcomesStream {
				n++
			}
			return remove(ctx, st, m.Seq)
		})
		if err != nil {
			return n, fmt.Errorf("erase from %s: %w", name, err)
		}
	}
	return n, nil
}

// How long the server is waited for to copy the newest messages from OUTCOMES: at most so long, and at least until a copy
// that says that it lacks nothing may be believed.
const (
	copyWait   = 15 * time.Second
	copySettle = 2 * time.Second
)

// Copied waits until what OUTCOMES holds has been copied to where insights and dead letters are read: what is removed
// there before could come after.
func (e *Erasure) Copied(ctx context.Context) error {
	for name, subjects := range map[string]string{schemas.InsightsStream: schemas.InsightSubjects, schemas.DeadLettersStream: schemas.DeadSubjects} {
		newest, err := e.ledger.last(ctx, subjects)
		if err != nil {
			return err
		}
		if newest == nil {
			continue
		}
		for began := time.Now(); ; {
			st, err := e.js.Stream(ctx, name)
			if err != nil {
				return err
			}
			m, err := st.GetLastMsgForSubject(ctx, subjects)
			if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
				return err
			}
			if err == nil && copiedFrom(m) >= newest.Sequence {
				break
			}
			waited, sources := time.Since(began), st.CachedInfo().Sources
			if waited > copySettle && len(sources) == 1 && sources[0].Lag == 0 { // what was removed from a copy does not come back
				break
			}
			if waited > copyWait {
				return fmt.Errorf("after %v the server has not copied everything to %s", copyWait, name)
			}
			if err := pause(ctx, 20*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return nil
}

// copiedFrom is where in OUTCOMES a copied message comes from; 0: it does not say.
func copiedFrom(m *jetstream.RawStreamMsg) uint64 {
	fields := strings.Fields(m.Header.Get("Nats-Stream-Source")) // stream, sequence, filter, transform, subject
	if len(fields) < 2 {
		return 0
	}
	seq, _ := strconv.ParseUint(fields[1], 10, 64)
	return seq
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// Done removes the request itself.
func (e *Erasure) Done(ctx context.Context, r *schemas.EraseRequest) error {
	st, err := e.js.Stream(ctx, e.shards[r.Shard].name)
	if err != nil {
		return err
	}
	return remove(ctx, st, r.Seq)
}

// remove overwrites a message. One that is gone is no error.
func remove(ctx context.Context, st jetstream.Stream, seq uint64) error {
	err := st.SecureDeleteMsg(ctx, seq)
	if err == nil {
		return nil
	}
	if _, gerr := st.GetMsg(ctx, seq); errors.Is(gerr, jetstream.ErrMsgNotFound) {
		return nil
	}
	return fmt.Errorf("overwrite message %d: %w", seq, err)
}

// found is a message of a stream with all of its headers.
type found struct{ schemas.Record }

// errEnough ends a sweep.
var errEnough = errors.New("enough")

// sweepFetch is how many messages a sweep asks for at a time.
const sweepFetch = 500

// sweep calls f with every message that a stream holds at the call and the filters choose, in order. It fails rather than
// leave one out.
func (e *Erasure) sweep(ctx context.Context, stream string, filters []string, f func(*found) error) error {
	st, err := e.js.Stream(ctx, stream)
	if err != nil {
		return err
	}
	last := st.CachedInfo().State.LastSeq
	c, err := st.CreateConsumer(ctx, jetstream.ConsumerConfig{Description: "Earshot erasure", FilterSubjects: filters,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: inactive})
	if err != nil {
		return err
	}
	defer st.DeleteConsumer(context.WithoutCancel(ctx), c.CachedInfo().Name) // it would go by itself, later
	for read, pending := uint64(0), c.CachedInfo().NumPending; pending > 0; {
		batch, err := c.FetchNoWait(sweepFetch)
		if err != nil {
			return err
		}
		before := read
		for m := range batch.Messages() {
			md, err := m.Metadata()
			if err != nil {
				return err
			}
			if read++; md.Sequence.Consumer != read {
				return errors.New("a message was lost on the way: it is done again")
			}
			if md.Sequence.Stream > last {
				return nil
			}
			pending = md.NumPending
			rec := found{schemas.Record{Seq: md.Sequence.Stream, Time: md.Timestamp.UTC(), Subject: m.Subject(), Data: m.Data(), Header: plain(m.Headers())}}
			switch err := f(&rec); {
			case errors.Is(err, errEnough):
				return nil
			case err != nil:
				return err
			}
		}
		if err := errors.Join(batch.Error(), ctx.Err()); err != nil {
			return err
		}
		if read == before {
			info, err := c.Info(ctx)
			if err != nil {
				return err
			}
			if info.Delivered.Consumer != read {
				return errors.New("a message was lost on the way: it is done again")
			}
			pending = info.NumPending
		}
	}
	return nil
}

// plain keeps the first value of each header that is not the broker's own.
func plain(h nats.Header) map[string]string {
	out := make(map[string]string, len(h))
	for k, v := range h {
		if len(v) > 0 && !strings.HasPrefix(k, "Nats-") {
			out[k] = v[0]
		}
	}
	return out
}

// Waiting says whether there are requests, at the cost of one question for each shard.
func (e *Erasure) Waiting(ctx context.Context) (bool, error) {
	for _, s := range e.shards {
		st, err := e.js.Stream(ctx, s.name)
		if err != nil {
			return false, err
		}
		for _, subject := range requestSubjects() {
			info, err := st.Info(ctx, jetstream.WithSubjectFilter(subject))
			if err != nil {
				return false, err
			}
			if len(info.State.Subjects) > 0 {
				return true, nil
			}
		}
	}
	return false, nil
}

// Receipt finds the receipt for a request in the log; nil: there is none.
func (e *Erasure) Receipt(ctx context.Context, id schemas.EventID) (out *schemas.EraseReceipt, err error) {
	for _, s := range e.shards {
		err := e.sweep(ctx, s.name, []string{"feedback.*.*.*." + string(schemas.CustomerEraseDone)}, func(m *found) error {
			ev, problems := schemas.DecodeRecord(&m.Record)
			if len(problems) > 0 || ev.ID != id.String() {
				return nil
			}
			out = &schemas.EraseReceipt{}
			return json.Unmarshal(ev.Data.Metadata, out)
		})
		if err != nil || out != nil {
			return out, err
		}
	}
	return nil, nil
}
