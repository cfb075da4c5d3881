package deadletter

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot/earshot/schemas"
)

// How long a listing waits for the server to copy the newest letters from OUTCOMES: as long as it takes at most, and at
// least until a copy that is idle may be believed to have nothing left.
const (
	copyWait   = 15 * time.Second
	copySettle = 2 * time.Second
)

// copied waits until the letters that the workers have committed are in DEADLETTERS.
func (b *Box) copied(ctx context.Context) error {
	const act = "wait for the newest dead letters"
	outcomes, err := b.cfg.JS.Stream(ctx, schemas.OutcomesStream)
	if err != nil {
		return fmt.Errorf("%s: %w; start a node once, which makes the streams", act, err)
	}
	newest, err := outcomes.GetLastMsgForSubject(ctx, schemas.DeadSubjects)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", act, err)
	}
	letters, err := b.cfg.JS.Stream(ctx, schemas.DeadLettersStream)
	if err != nil {
		return fmt.Errorf("%s: %w", act, err)
	}
	for began := time.Now(); ; {
		last, err := letters.GetLastMsgForSubject(ctx, schemas.DeadSubjects)
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return fmt.Errorf("%s: %w", act, err)
		}
		if err == nil && sourceSequence(last) >= newest.Sequence {
			return nil
		}
		waited := time.Since(began)
		if waited > copySettle {
			// What was removed from DEADLETTERS does not come back, so an idle copy has to do.
			info, err := letters.Info(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", act, err)
			}
			if s := info.Sources; len(s) == 1 && s[0].Lag == 0 && s[0].Active >= 0 {
				return nil
			}
		}
		if waited > copyWait {
			return fmt.Errorf("%s: after %v the server has not copied them to %s: try again, and see the server's log if it lasts", act, copyWait, schemas.DeadLettersStream)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// sourceSequence is where in OUTCOMES a copied message comes from.
func sourceSequence(m *jetstream.RawStreamMsg) uint64 {
	fields := strings.Fields(m.Header.Get("Nats-Stream-Source")) // stream, sequence, filter, transform, subject
	if len(fields) < 2 {
		return 0
	}
	seq, _ := strconv.ParseUint(fields[1], 10, 64) // unreadable: 0, which never suffices
	return seq
}

// How many messages a scan asks for at a time: of headers alone, and of whole messages, which may have 272 KiB each. What is
// not asked for stays with the server, so f may take its time.
const (
	fetchHeaders = 500
	fetchWhole   = 64
)

// idleConsumer is after how long without a request the server removes a scan's consumer: longer than f takes for a batch.
const idleConsumer = 5 * time.Minute

// scan calls f with every message that the stream holds at the call and the configuration chooses, in order, until f wants
// no more. It fails rather than leave a message out.
func scan(ctx context.Context, js jetstream.JetStream, stream string, cfg jetstream.ConsumerConfig, f func(jetstream.Msg, *jetstream.MsgMetadata) (more bool, err error)) error {
	st, err := js.Stream(ctx, stream)
	if err != nil {
		return fmt.Errorf("%s: %w", stream, err)
	}
	last := st.CachedInfo().State.LastSeq
	cfg.AckPolicy, cfg.MemoryStorage, cfg.Replicas, cfg.InactiveThreshold = jetstream.AckNonePolicy, true, 1, idleConsumer
	c, err := st.CreateConsumer(ctx, cfg)
	if err != nil {
		return fmt.Errorf("%s: %w", stream, err)
	}
	defer st.DeleteConsumer(context.WithoutCancel(ctx), c.CachedInfo().Name) // it would go by itself
	most := fetchWhole
	if cfg.HeadersOnly {
		most = fetchHeaders
	}
	delivered := uint64(0)
	for pending := c.CachedInfo().NumPending; pending > 0; {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		batch, err := c.FetchNoWait(most)
		if err != nil {
			return fmt.Errorf("%s: %w", stream, err)
		}
		before := delivered
		for m := range batch.Messages() {
			md, err := m.Metadata()
			if err != nil {
				return fmt.Errorf("%s: %w", stream, err)
			}
			if delivered++; md.Sequence.Consumer != delivered {
				return fmt.Errorf("%s: a message was lost on the way: call it again", stream)
			}
			if md.Sequence.Stream > last {
				return nil
			}
			if more, err := f(m, md); err != nil || !more || md.Sequence.Stream == last {
				return err
			}
			pending = md.NumPending
		}
		if err := batch.Error(); err != nil {
			return fmt.Errorf("%s: %w", stream, err)
		}
		if delivered == before { // what was still to come has expired or was removed, or it is on its way
			info, err := c.Info(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", stream, err)
			}
			if info.Delivered.Consumer != delivered {
				return fmt.Errorf("%s: a message was lost on the way: call it again", stream)
			}
			pending = info.NumPending
		}
	}
	return nil
}
