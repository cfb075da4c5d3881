package stream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot/earshot/schemas"
)

// ledger is what the broker keeps beside the log, in OUTCOMES: entries of which the newest counts, changed by
// compare-and-swap.
type ledger struct {
	js jetstream.JetStream
	nc *nats.Conn
}

// ledgerTimeout bounds one request to the broker, when ctx has no nearer end. It is what a request costs whose answer a
// broken connection took with it; it must exceed the commit of a full batch on a slow disk.
const ledgerTimeout = 2 * time.Second

// ledgerAttempts is how often a write of the ledger is tried whose fate is unknown. After each the ledger is read, so that
// a write that did happen is seen; more attempts would only keep the worker from reporting that the broker is away.
const ledgerAttempts = 5

// headerWrite names one write of the ledger, so that a writer recognises its own: two rivals may plan the very same thing.
const headerWrite = "Earshot-Write"

// last returns the newest message of a subject of OUTCOMES, nil when there is none. OUTCOMES allows no direct access, so
// the server answers from the leader.
func (l ledger) last(ctx context.Context, subject string) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	st, err := l.js.Stream(ctx, schemas.OutcomesStream)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", schemas.OutcomesStream, schemas.ErrUnavailable, err)
	}
	m, err := st.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", subject, schemas.ErrUnavailable, err)
	}
	return m, nil
}

// record is one entry of the ledger about to be written.
type record struct {
	subject string
	data    []byte
}

// swap writes an entry of the ledger and what goes with it, if the newest entry is still at expect.
func (l ledger) swap(ctx context.Context, r record, expect uint64, outcomes []schemas.Outcome) (uint64, error) {
	name := rand.Text()
	for attempt := 1; ; attempt++ {
		try, cancel := context.WithTimeout(ctx, ledgerTimeout)
		seq, err := publishBatch(try, l.nc, ledgerMessages(r, name, expect, outcomes))
		cancel()
		if err == nil {
			return seq, nil
		}
		unknown := errors.Is(err, ErrUnknown)
		if !unknown && !errors.Is(err, schemas.ErrLost) && !errors.Is(err, errAgain) {
			return 0, err
		}
		// Ours may be the write that moved the sequence: its answer was lost, and this was its repetition.
		now, lerr := l.last(ctx, r.subject)
		switch {
		case lerr != nil:
			return 0, errors.Join(err, lerr)
		case now != nil && now.Header.Get(headerWrite) == name:
			return now.Sequence, nil
		case sequence(now) != expect:
			return 0, fmt.Errorf("%w (the newest entry is %d, not %d)", schemas.ErrLost, sequence(now), expect)
		case errors.Is(err, schemas.ErrLost) || attempt == ledgerAttempts || ctx.Err() != nil:
			return 0, err
		}
	}
}

func sequence(m *jetstream.RawStreamMsg) uint64 {
	if m == nil {
		return 0
	}
	return m.Sequence
}

// ledgerMessages makes the batch: outcomes first, the ledger's entry last, so that the answer bears its sequence.
func ledgerMessages(r record, name string, expect uint64, outcomes []schemas.Outcome) []*nats.Msg {
	msgs := make([]*nats.Msg, 0, len(outcomes)+1)
	for i := range outcomes {
		o := &outcomes[i]
		h := make(nats.Header, len(o.Header)+4)
		for k, v := range o.Header {
			h[k] = []string{v}
		}
		if o.ID != "" {
			h[HeaderOutcomeID] = []string{o.ID}
		}
		msgs = append(msgs, &nats.Msg{Subject: o.Subject, Header: h, Data: o.Data})
	}
	return append(msgs, &nats.Msg{Subject: r.subject, Data: r.data, Header: nats.Header{
		headerExpectedLast: {fmt.Sprint(expect)},
		headerRollup:       {"sub"},   // only the newest entry is of use
		headerTTL:          {"never"}, // and it outlives the stream's age limit
		headerWrite:        {name},
	}})
}
