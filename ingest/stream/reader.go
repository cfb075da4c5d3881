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

// How a reader pulls. Two requests are out at a time, so that the server always has one to serve while the answers to the
// other are worked on; together they bound what may lie unread in memory.
const (
	pullMessages = 4000
	// pullBytes must exceed the largest message. It is no multiple of a likely message size, because a request that is
	// used up to the very byte ends without a word; the books then expect too much until the consumer is made anew.
	pullBytes     = 8<<20 - 1
	pullsOut      = 2
	pullExpires   = 30 * time.Second
	pullHeartbeat = 3 * time.Second
	// silence is how long a reader waits for anything at all, heartbeats included, before it takes its consumer for gone.
	silence = 2*pullHeartbeat + time.Second
	// glance is how often a waiting reader looks whether the connection was lost and found again.
	glance = 200 * time.Millisecond
	// inactive is after how long without requests the server removes the consumer: longer than any batch takes to be
	// worked on, as a rule; when it was shorter, the reader makes a new consumer.
	inactive = 5 * time.Minute
	// arrived is how many messages the client library may hold for a reader: all of both requests, their heartbeats
	// and their ends.
	arrived = pullsOut*(pullMessages+32) + 64
)

// reader reads a stream in order, from any position, by a consumer of its own. The consumer is ephemeral and needs no
// acknowledgement: the worker's checkpoint alone says how far the shard has come.
type reader struct {
	s       *Shard
	in      chan *nats.Msg
	sub     *nats.Subscription
	name    string            // of the consumer; empty: there is none
	next    string            // subject of its pull requests
	after   uint64            // sequence of the last record handed out, or where the consumer began
	count   uint64            // number of messages the consumer has delivered, by its own count
	wanted  int               // messages that the requests out may still bring
	connect uint64            // reconnects of the connection when the consumer was made
	doubts  int               // times in a row that the broker said there is more, but nothing came
	held    *nats.Msg         // taken from in, but not handed out
	gone    *nats.Msg         // stands for the loss of the consumer
	since   time.Time         // when something was last taken from in
	shared  map[string]string // headers of the last record; never written to once made
	ended   string            // why the consumer could not be read on, if it could not
}

func newReader(s *Shard) *reader { return &reader{s: s, gone: new(nats.Msg)} }

// Read returns up to max records (0: 4,000) after the sequence after, in order, whose data is together at most maxBytes
// (0: no bound; one record always goes). It waits up to idle for the first and up to linger after that for more. None,
// without an error, means that the broker was asked and has none. A gap in the sequence is a deleted message. Records may share a header map,
// so nobody may write to one.
//
// Reading on from where the last call ended is fast; any other position costs two round trips. Read comes back by itself
// from a lost connection, a restarted broker and a consumer that fell silent; an error with [schemas.ErrUnavailable] says
// that the broker is away. [schemas.ErrEpoch]: the stream is another one than was opened, or no longer reaches to after.
func (s *Shard) Read(ctx context.Context, after uint64, max, maxBytes int, idle, linger time.Duration) ([]schemas.Record, error) {
	out, err := s.reader.read(ctx, after, max, maxBytes, idle, linger)
	if err != nil {
		return nil, fmt.Errorf("read %s after %d: %w", s.name, after, err)
	}
	return out, nil
}

func (r *reader) read(ctx context.Context, after uint64, max, maxBytes int, idle, linger time.Duration) ([]schemas.Record, error) {
	if max <= 0 {
		max = pullMessages
	}
	if r.name != "" && r.after != after {
		r.close()
	}
	var (
		out   []schemas.Record
		bytes int
		opens int
		timer = time.NewTimer(idle)
	)
	defer timer.Stop()
	for len(out) < max {
		if r.name == "" {
			if len(out) > 0 {
				return out, nil // the next call makes the consumer
			}
			if opens++; opens > maxOpens {
				return nil, fmt.Errorf("%w: consumers end at once: %s", schemas.ErrUnavailable, r.ended)
			}
			if err := r.open(ctx, after); err != nil {
				return nil, err
			}
		}
		m, err := r.receive(ctx, timer.C)
		switch {
		case err != nil && len(out) > 0:
			return out, nil // what was read is in order and counts
		case err != nil:
			return nil, err
		case m == nil && out == nil:
			more, err := r.more(ctx)
			if err != nil || !more {
				return nil, err
			}
			timer.Reset(idle)
			continue
		case m == nil:
			return out, nil // linger is over
		case m == r.gone:
			r.close()
			continue
		}
		rec, kind := r.record(m)
		switch kind {
		case isBroken:
			r.close()
			continue
		case isStatus:
			continue
		}
		size := len(rec.Data)
		if len(out) > 0 && maxBytes > 0 && bytes+size > maxBytes {
			r.held = m
			return out, nil
		}
		r.advance(rec.Seq)
		if out == nil {
			timer.Reset(linger)
			out = make([]schemas.Record, 0, min(max, 1+len(r.in)))
		}
		out = append(out, rec)
		bytes += size
	}
	return out, nil
}

// maxDoubts is how often a consumer may be waited for that has messages but does not deliver them: they may be on their way.
const maxDoubts = 2

// maxOpens is how many consumers one call makes before it reports that they do not last.
const maxOpens = 4

// receive returns the next message of the consumer, nil when the time is over, r.gone when the consumer must be taken for
// lost.
func (r *reader) receive(ctx context.Context, over <-chan time.Time) (*nats.Msg, error) {
	if m := r.held; m != nil {
		r.held = nil
		return m, nil
	}
	select {
	case m := <-r.in: // what has arrived goes first, or a linger of 0 would give one record a call
		r.since = time.Now()
		return m, nil
	default:
	}
	look := time.NewTicker(glance)
	defer look.Stop()
	for {
		if r.s.nc.Stats().Reconnects != r.connect {
			r.ended = "the connection was lost"
			return r.gone, nil
		}
		if time.Since(r.since) > silence && r.s.nc.IsConnected() {
			r.ended = "the consumer was silent"
			return r.gone, nil
		}
		select {
		case m := <-r.in:
			r.since = time.Now()
			return m, nil
		case <-over:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-look.C:
		}
	}
}

// more asks the broker, when nothing has come, whether there is nothing: an empty answer must not mean that the broker
// was away. A consumer that has something to deliver, yet does not, is given up.
func (r *reader) more(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	c, err := r.s.js.Consumer(ctx, r.s.name, r.name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		r.ended = "the broker has no such consumer"
		r.close()
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("look whether there is more: %w: %w", schemas.ErrUnavailable, err)
	}
	info := c.CachedInfo()
	if info.Delivered.Consumer == r.count && info.NumPending == 0 {
		r.doubts = 0
		return false, nil
	}
	if r.doubts++; r.doubts > maxDoubts {
		r.ended = "the consumer does not deliver what it has"
		r.close()
	}
	return true, nil
}

// What a message can be.
type messageKind int

const (
	isRecord messageKind = iota
	isStatus             // heartbeat or end of a request
	isBroken             // the consumer cannot be read on
)

// record makes a record of a message, and keeps the books of requests.
func (r *reader) record(m *nats.Msg) (schemas.Record, messageKind) {
	if m.Reply == "" {
		return schemas.Record{}, r.status(m)
	}
	d, ok := parseDelivery(m.Reply)
	if !ok || d.count != r.count+1 || d.seq <= r.after {
		r.ended = "a message was lost on the way"
		return schemas.Record{}, isBroken // something was dropped on the way: begin after the last good one
	}
	return schemas.Record{Seq: d.seq, Time: d.time, Subject: m.Subject, Header: r.header(m.Header), Data: m.Data}, isRecord
}

// header keeps the first value of each header that is not the broker's own. Most events bear the same, so the last map is
// used again when it says the same.
func (r *reader) header(h nats.Header) map[string]string {
	own, same := 0, true
	for k, v := range h {
		if len(v) > 0 && !strings.HasPrefix(k, "Nats-") {
			own++
			last, ok := r.shared[k]
			same = same && ok && last == v[0]
		}
	}
	if same && own == len(r.shared) {
		return r.shared
	}
	out := make(map[string]string, own)
	for k, v := range h {
		if len(v) > 0 && !strings.HasPrefix(k, "Nats-") {
			out[k] = v[0]
		}
	}
	r.shared = out
	return out
}

// advance notes that a record is handed out, and asks for more in time.
func (r *reader) advance(seq uint64) {
	r.after = seq
	r.count++
	r.doubts = 0
	r.wanted--
	r.refill()
}

// refill asks for more when the requests out may bring less than all but one of them could.
func (r *reader) refill() {
	if r.wanted <= (pullsOut-1)*pullMessages {
		r.pull()
	}
}

// status reads a message without a position: a heartbeat, or why a request has ended.
func (r *reader) status(m *nats.Msg) messageKind {
	status, description := m.Header.Get("Status"), m.Header.Get("Description")
	if status == "100" {
		return isStatus
	}
	// A request that has expired, or that has no bytes left for the next message, says how many messages it did not bring.
	left, err := strconv.Atoi(m.Header.Get("Nats-Pending-Messages"))
	if (status == "408" || status == "409") && err == nil && left <= r.wanted {
		r.wanted -= left
		r.refill()
		return isStatus
	}
	r.ended = status + " " + description
	return isBroken
}

// open makes a consumer that begins after the given sequence.
func (r *reader) open(ctx context.Context, after uint64) error {
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	reconnects := r.s.nc.Stats().Reconnects
	last, err := r.s.Last(ctx)
	if err != nil {
		return err
	}
	if last < after {
		return fmt.Errorf("the stream ends at %d: %w", last, schemas.ErrEpoch)
	}
	in := make(chan *nats.Msg, arrived)
	sub, err := r.s.nc.ChanSubscribe(r.s.nc.NewInbox(), in)
	if err != nil {
		return fmt.Errorf("subscribe: %w: %w", schemas.ErrUnavailable, err)
	}
	c, err := r.s.js.CreateConsumer(ctx, r.s.name, jetstream.ConsumerConfig{
		Description:       "Earshot worker",
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       after + 1,
		AckPolicy:         jetstream.AckNonePolicy,
		ReplayPolicy:      jetstream.ReplayInstantPolicy,
		InactiveThreshold: inactive,
		MemoryStorage:     true,
		Replicas:          1,
	})
	if err != nil {
		return errors.Join(fmt.Errorf("create a consumer: %w: %w", schemas.ErrUnavailable, err), sub.Unsubscribe())
	}
	r.in, r.sub, r.name, r.connect = in, sub, c.CachedInfo().Name, reconnects
	r.next = "$JS.API.CONSUMER.MSG.NEXT." + r.s.name + "." + r.name
	r.after, r.count, r.wanted, r.doubts, r.held, r.since = after, 0, 0, 0, nil, time.Now()
	for range pullsOut {
		r.pull()
	}
	return nil
}

// pull sends one request. A failure shows as silence or as a new connection.
func (r *reader) pull() {
	body, _ := json.Marshal(struct {
		Batch     int           `json:"batch"`
		MaxBytes  int           `json:"max_bytes"`
		Expires   time.Duration `json:"expires"`
		Heartbeat time.Duration `json:"idle_heartbeat"`
	}{pullMessages, pullBytes, pullExpires, pullHeartbeat})
	if r.s.nc.PublishRequest(r.next, r.sub.Subject, body) == nil {
		r.wanted += pullMessages
	}
}

// close gives up the consumer, if there is one.
func (r *reader) close() {
	if r.name == "" {
		return
	}
	_ = r.sub.Unsubscribe() // the connection may be gone, and the subscription with it
	// The server removes the consumer by itself in the end; asking it to do so now spares it the memory. Nobody waits.
	_ = r.s.nc.Publish("$JS.API.CONSUMER.DELETE."+r.s.name+"."+r.name, nil)
	r.name, r.held, r.in, r.sub = "", nil, nil, nil
}
