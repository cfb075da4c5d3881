package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/earshot/earshot/schemas"
)

// pauseBeforeAgain is the pause before a batch that was surely not stored is sent once more.
const pauseBeforeAgain = 20 * time.Millisecond

// maxIncomplete is how often a batch may arrive incomplete before one of its messages is suspected.
const maxIncomplete = 3

// messageOverhead is what a message costs beside its own bytes: the headers of the batch and of the protocol.
const messageOverhead = 128

// weigh estimates what a message takes in a batch, in bytes.
func weigh(m *schemas.Message) int64 {
	n := messageOverhead + len(m.Subject) + len(m.Data)
	for k, v := range m.Header {
		n += len(k) + len(v) + 4
	}
	return int64(n)
}

// Check finds what would have the log refuse the message, and with it the whole batch that other callers share. Its error
// has [ErrRefused] in its chain. [Publisher.Publish] does it by itself.
func (p *Publisher) Check(m *schemas.Message) error {
	if m.Shard < 0 || m.Shard >= p.cfg.Shards {
		return fmt.Errorf("%w: shard %d, where there are %d", ErrRefused, m.Shard, p.cfg.Shards)
	}
	prefix := fmt.Sprintf("feedback.%d.", m.Shard)
	if rest, ok := strings.CutPrefix(m.Subject, prefix); !ok || !plainSubject(rest) {
		return fmt.Errorf("%w: subject %q, wanted %s followed by plain tokens", ErrRefused, m.Subject, prefix)
	}
	if len(m.Data) > schemas.MaxEventBytes {
		return fmt.Errorf("%w: %d bytes, where at most %d go", ErrRefused, len(m.Data), schemas.MaxEventBytes)
	}
	header := 0
	for k, v := range m.Header {
		header += len(k) + len(v) + 4
		if len(k) >= 5 && strings.EqualFold(k[:5], "nats-") {
			return fmt.Errorf("%w: header %s belongs to the broker", ErrRefused, k)
		}
		if k == "" || strings.ContainsAny(k, ": \t\r\n") || strings.ContainsAny(v, "\r\n") {
			return fmt.Errorf("%w: header %q: %q cannot be sent", ErrRefused, k, v)
		}
	}
	if header > MaxHeaderBytes-messageOverhead {
		return fmt.Errorf("%w: %d bytes of headers, where at most %d go", ErrRefused, header, MaxHeaderBytes-messageOverhead)
	}
	return nil
}

// plainSubject says whether s is one or more tokens without wildcards.
func plainSubject(s string) bool {
	for token := range strings.SplitSeq(s, ".") {
		if token == "" {
			return false
		}
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == '*' || c == '>' || c == 0x7f {
			return false
		}
	}
	return true
}

// commit stores the parts as one batch and answers their callers. When the log refuses the batch for good, each part is
// tried alone, so that nobody's fault is laid on another.
func (p *Publisher) commit(q *queue, batch []*part) {
	ctx, cancel := context.WithTimeout(context.Background(), p.cfg.CommitTimeout)
	defer cancel()
	err := p.send(ctx, batch)
	p.note(q, err)
	if len(batch) == 1 || !errors.Is(err, ErrRefused) && !errors.Is(err, errIncomplete) {
		p.answer(batch, err)
		return
	}
	for i := range batch {
		p.answer(batch[i:i+1], p.send(ctx, batch[i:i+1]))
	}
}

// note remembers that the log did not take a batch, or that it took one.
func (p *Publisher) note(q *queue, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil:
		q.refused = refusal{}
	case errors.Is(err, schemas.ErrUnavailable): // anything else is the fault of the batch
		q.refused = refusal{time.Now(), err}
	}
}

// send stores the parts as one batch. What was surely not stored, because the server dropped an incomplete batch, is
// sent again until ctx ends; what may have been stored is not.
func (p *Publisher) send(ctx context.Context, batch []*part) error {
	start := time.Now()
	var msgs []*nats.Msg
	for _, pt := range batch {
		for i := range pt.msgs {
			m := &pt.msgs[i]
			h := make(nats.Header, len(m.Header)+3)
			for k, v := range m.Header {
				h[k] = []string{v}
			}
			msgs = append(msgs, &nats.Msg{Subject: m.Subject, Header: h, Data: m.Data})
		}
	}
	for incomplete := 0; ; {
		attempt, cancel := p.link.attempt(ctx)
		_, err := publishBatch(attempt, p.nc, msgs)
		cancel()
		if errors.Is(err, errIncomplete) {
			incomplete++
		}
		if errors.Is(err, errAgain) && incomplete < maxIncomplete {
			select {
			case <-time.After(pauseBeforeAgain):
				continue
			case <-ctx.Done():
			}
		}
		p.metrics.batch(len(msgs), time.Since(start), err)
		return err
	}
}

// answer tells the callers what became of their parts. A request of several parts returns with the first error.
func (p *Publisher) answer(batch []*part, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pt := range batch {
		if pt.req.err == nil {
			pt.req.err = err
		}
		if pt.req.pending--; pt.req.pending == 0 {
			close(pt.req.done)
		}
	}
}
