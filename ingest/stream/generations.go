package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot/earshot/schemas"
)

// Generations keeps the one record of the classifications. It is safe for concurrent use.
type Generations struct{ ledger }

// OpenGenerations creates nothing; the stream is that of the shards' ledgers. nc must be the connection of js.
func OpenGenerations(js jetstream.JetStream, nc *nats.Conn) *Generations {
	return &Generations{ledger{js, nc}}
}

// Load returns the record and its sequence; 0: there is none yet. It is read from the stream's leader.
func (g *Generations) Load(ctx context.Context) (r schemas.Generations, seq uint64, err error) {
	m, err := g.last(ctx, schemas.GenerationsSubject)
	if err != nil {
		return r, 0, fmt.Errorf("load the record of generations: %w", err)
	}
	if m == nil {
		return r, 0, nil
	}
	if err := json.Unmarshal(m.Data, &r); err != nil {
		return r, 0, fmt.Errorf("read the record of generations at %d: %w", m.Sequence, err)
	}
	return r, m.Sequence, nil
}

// Save stores the record if the newest one is still at expect (0: there is none yet) and returns its sequence.
// [schemas.ErrLost]: it is not. A write whose answer was lost is looked for before anything is said about it.
func (g *Generations) Save(ctx context.Context, r schemas.Generations, expect uint64) (uint64, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return 0, fmt.Errorf("save the record of generations: %w", err)
	}
	seq, err := g.swap(ctx, record{schemas.GenerationsSubject, data}, expect, nil)
	if err != nil {
		return 0, fmt.Errorf("save the record of generations: %w", err)
	}
	return seq, nil
}

// Present makes this process one that can be asked whether it is alive, at the inbox returned, until stop. The broker
// itself answers for a process that is gone, because its connection is.
func (g *Generations) Present() (inbox string, stop func(), err error) {
	inbox = g.nc.NewInbox()
	sub, err := g.nc.Subscribe(inbox, func(m *nats.Msg) { _ = m.Respond([]byte("here")) })
	if err == nil {
		err = g.nc.Flush()
	}
	if err != nil {
		return "", nil, fmt.Errorf("listen for those who ask whether this process is alive: %w", err)
	}
	return inbox, func() { _ = sub.Unsubscribe() }, nil
}

// Alive says whether the process at an inbox answers. One that does not within the time of a request to the broker counts
// as gone: what it does afterwards fails by compare-and-swap.
func (g *Generations) Alive(ctx context.Context, inbox string) (bool, error) {
	if inbox == "" {
		return false, nil
	}
	try, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	_, err := g.nc.RequestWithContext(try, inbox, nil)
	switch {
	case err == nil:
		return true, nil
	case ctx.Err() != nil:
		return false, ctx.Err()
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return false, nil
	}
	return false, fmt.Errorf("ask whether the process at work on the generations is alive: %w: %w", schemas.ErrUnavailable, err)
}
