package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/earshot/earshot/schemas"
)

// Defaults of [PublisherConfig].
const (
	DefaultQueueMessages = 20_000   // a second's worth of what one shard commits on a small machine
	DefaultQueueBytes    = 64 << 20 // over all shards
	DefaultCommitTimeout = 5 * time.Second
)

// PublisherConfig says how a [Publisher] gathers and commits.
type PublisherConfig struct {
	Shards        int                   // number of shards, as provisioned
	QueueMessages int                   // messages of one shard that may wait; 0: [DefaultQueueMessages]
	QueueBytes    int64                 // bytes of all shards that may wait; 0: [DefaultQueueBytes]
	CommitTimeout time.Duration         // how long a batch may take, repetitions included; 0: [DefaultCommitTimeout]
	Registerer    prometheus.Registerer // takes the publisher's metrics; nil: none are kept
	Room          func() error          // says why the log may take nothing now, nil where it may; nil: the log is asked every time
}

// Publisher brings events into the log. Requests that arrive while a batch of their shard is being committed make up the
// next one, so that the more callers there are, the fewer syncs each costs; an idle publisher commits at once. Its methods
// may be called at the same time from many goroutines.
type Publisher struct {
	nc      *nats.Conn
	link    *link
	cfg     PublisherConfig
	metrics publisherMetrics
	ctx     context.Context // ends with Close
	stop    context.CancelFunc
	work    sync.WaitGroup
	once    sync.Once // guards the end of Close

	mu     sync.Mutex
	closed bool  // by the first call of Close
	bytes  int64 // waiting, over all shards
	queues []*queue
}

// queue is what waits for one shard. Its fields are guarded by the publisher's mutex.
type queue struct {
	shard    int
	parts    []*part
	messages int
	wake     chan struct{} // holds a token when parts may have become non-empty
	refused  refusal       // of the last batch; zero when it was stored
}

// refusal is that the log did not take a batch.
type refusal struct {
	at  time.Time
	err error
}

// refusalCounts is for how long a batch that the log did not take says that it takes none: about as long as whoever asks
// takes to ask again. After that somebody must be let in, to try.
const refusalCounts = 10 * time.Second

// part is what of a request goes into one batch.
type part struct {
	msgs  []schemas.Message
	bytes int64
	req   *request
}

// request is one call of Publish.
type request struct {
	pending int // parts without an answer, guarded by the publisher's mutex
	err     error
	left    bool          // the caller has gone: parts not yet in a batch need not be sent
	done    chan struct{} // closed when pending reaches 0
}

// NewPublisher starts a publisher. It uses nc for as long as it runs and does not close it.
func NewPublisher(nc *nats.Conn, cfg PublisherConfig) (*Publisher, error) {
	if cfg.Shards < 1 {
		return nil, fmt.Errorf("publisher: shards %d: give at least 1", cfg.Shards)
	}
	if cfg.QueueMessages == 0 {
		cfg.QueueMessages = DefaultQueueMessages
	}
	if cfg.QueueBytes == 0 {
		cfg.QueueBytes = DefaultQueueBytes
	}
	if cfg.CommitTimeout == 0 {
		cfg.CommitTimeout = DefaultCommitTimeout
	}
	if cfg.QueueMessages < 0 || cfg.QueueBytes < 0 || cfg.CommitTimeout < 0 {
		return nil, errors.New("publisher: limits may not be negative; 0 takes the default")
	}
	p := &Publisher{nc: nc, cfg: cfg}
	p.ctx, p.stop = context.WithCancel(context.Background())
	if err := p.metrics.register(cfg.Registerer, p.waiting); err != nil {
		return nil, fmt.Errorf("publisher: register metrics: %w", err)
	}
	p.link = watchLink(nc)
	for i := range cfg.Shards {
		q := &queue{shard: i, wake: make(chan struct{}, 1)}
		p.queues = append(p.queues, q)
		p.work.Go(func() { p.run(q) })
	}
	return p, nil
}

// Publish stores the messages and returns when they are on disk. What goes to one shard and fits one batch, [MaxBatch]
// messages and 8 MiB, is stored as a whole or not at all; a larger request, or one over several shards, is split, and when
// it fails some of its parts may be stored. Sending it again is safe: the worker counts what it has seen as duplicates.
//
// Errors: [schemas.ErrBusy], nothing was stored, the queue is full; [schemas.ErrUnavailable], the log cannot take writes,
// with [ErrUnknown] also in the chain when the messages may be stored nevertheless, and with [ErrFull] when the stream has
// reached its limits; [ErrRefused], a message is at fault and will be every time.
func (p *Publisher) Publish(ctx context.Context, msgs []schemas.Message) error {
	if len(msgs) == 0 {
		return nil
	}
	if p.cfg.Room != nil {
		if err := p.cfg.Room(); err != nil {
			return fmt.Errorf("publish: %w: %w", ErrFull, err)
		}
	}
	for i := range msgs {
		if err := p.Check(&msgs[i]); err != nil {
			return fmt.Errorf("publish message %d of %d: %w", i+1, len(msgs), err)
		}
	}
	req := &request{done: make(chan struct{})}
	if err := p.enqueue(req, split(req, msgs)); err != nil {
		p.metrics.refused.Inc()
		return err
	}
	select {
	case <-req.done:
		return req.err
	case <-ctx.Done():
		p.mu.Lock()
		req.left = true
		p.mu.Unlock()
		return fmt.Errorf("publish: %w: %w", ErrUnknown, ctx.Err())
	}
}

// split cuts a request into parts of one shard and one batch each, in order.
func split(req *request, msgs []schemas.Message) []*part {
	var out []*part
	open := map[int]*part{}
	for _, m := range msgs {
		size := weigh(&m)
		pt := open[m.Shard]
		if pt == nil || len(pt.msgs) == MaxBatch || pt.bytes+size > maxBatchBytes {
			pt = &part{req: req}
			open[m.Shard] = pt
			out = append(out, pt)
		}
		pt.msgs = append(pt.msgs, m)
		pt.bytes += size
	}
	return out
}

// enqueue takes all parts or none.
func (p *Publisher) enqueue(req *request, parts []*part) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return fmt.Errorf("publish: %w: the publisher is closed", schemas.ErrUnavailable)
	}
	var bytes int64
	add := map[int]int{}
	for _, pt := range parts {
		bytes += pt.bytes
		add[pt.msgs[0].Shard] += len(pt.msgs)
	}
	// An empty queue takes a request of any size: refused, it would be refused for ever.
	if p.bytes > 0 && p.bytes+bytes > p.cfg.QueueBytes {
		return fmt.Errorf("publish: %w: %d bytes wait", schemas.ErrBusy, p.bytes)
	}
	for shard, n := range add {
		if q := p.queues[shard]; q.messages > 0 && q.messages+n > p.cfg.QueueMessages {
			return fmt.Errorf("publish: %w: %d messages wait for shard %d", schemas.ErrBusy, q.messages, shard)
		}
	}
	req.pending = len(parts)
	p.bytes += bytes
	for _, pt := range parts {
		q := p.queues[pt.msgs[0].Shard]
		q.parts = append(q.parts, pt)
		q.messages += len(pt.msgs)
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// run commits what waits for one shard, batch after batch.
func (p *Publisher) run(q *queue) {
	for {
		batch := p.take(q)
		if len(batch) == 0 {
			select {
			case <-q.wake:
				continue
			case <-p.ctx.Done():
				return
			}
		}
		p.commit(q, batch)
	}
}

// take removes from the queue what fits one batch.
func (p *Publisher) take(q *queue) []*part {
	p.mu.Lock()
	defer p.mu.Unlock()
	var batch []*part
	var messages int
	var bytes int64
	n := 0
	for _, pt := range q.parts {
		if !pt.req.left {
			if len(batch) > 0 && (messages+len(pt.msgs) > MaxBatch || bytes+pt.bytes > maxBatchBytes) {
				break
			}
			batch = append(batch, pt)
			messages += len(pt.msgs)
			bytes += pt.bytes
		}
		q.messages -= len(pt.msgs)
		p.bytes -= pt.bytes
		n++
	}
	clear(q.parts[:n])
	q.parts = q.parts[n:]
	if len(q.parts) == 0 {
		q.parts = nil
	}
	return batch
}

// Close refuses new requests, commits what waits, and returns when that is done or ctx ends; in the latter case what
// still waits is answered with [schemas.ErrUnavailable].
func (p *Publisher) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	var err error
	for err == nil && p.waiting() > 0 {
		select {
		case <-ctx.Done():
			err = fmt.Errorf("close publisher: %d messages were not stored: %w", p.waiting(), ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
	p.stop()
	p.work.Wait()
	for _, q := range p.queues {
		for batch := p.take(q); len(batch) > 0; batch = p.take(q) {
			p.answer(batch, fmt.Errorf("publish: %w: the publisher was closed", schemas.ErrUnavailable))
		}
	}
	p.once.Do(func() {
		p.link.close()
		p.metrics.unregister(p.cfg.Registerer)
	})
	return err
}

// Refusing says why the log is taken not to take events: the last batch of some shard was not confirmed a moment ago. nil:
// it is not known to refuse any.
func (p *Publisher) Refusing() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, q := range p.queues {
		if ago := time.Since(q.refused.at); q.refused.err != nil && ago < refusalCounts {
			errs = append(errs, fmt.Errorf("shard %d did not take events %v ago: %w", q.shard, ago.Round(time.Second), q.refused.err))
		}
	}
	return errors.Join(errs...)
}

// waiting counts the messages in all queues.
func (p *Publisher) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, q := range p.queues {
		n += q.messages
	}
	return n
}
