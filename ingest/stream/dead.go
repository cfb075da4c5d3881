package stream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot/earshot/schemas"
)

// deadFetch is how many headers of dead letters are asked for at a time.
const deadFetch = 1000

// Dead returns the sequences of the shard's dead letters that are still to be found, where they were written or where
// they are kept. Those of a former epoch of the stream are not among them.
func (s *Shard) Dead(ctx context.Context) (map[uint64]bool, error) {
	out := map[uint64]bool{}
	for _, name := range []string{schemas.OutcomesStream, schemas.DeadLettersStream} {
		if err := s.deadIn(ctx, name, out); err != nil {
			return nil, fmt.Errorf("list the dead letters of shard %d in %s: %w", s.shard, name, err)
		}
	}
	return out, nil
}

// deadIn reads the headers of the dead letters in one stream.
func (s *Shard) deadIn(ctx context.Context, name string, out map[uint64]bool) error {
	c, err := s.js.CreateConsumer(ctx, name, jetstream.ConsumerConfig{
		Description: "Earshot audit", FilterSubject: fmt.Sprintf("dead.%d.>", s.shard), HeadersOnly: true,
		AckPolicy: jetstream.AckNonePolicy, InactiveThreshold: inactive, MemoryStorage: true, Replicas: 1,
	})
	if err != nil {
		return fmt.Errorf("%w: %w", schemas.ErrUnavailable, err)
	}
	info := c.CachedInfo()
	defer s.js.DeleteConsumer(context.WithoutCancel(ctx), name, info.Name) // it would go by itself, later
	prefix := fmt.Sprintf("%s-%d-", s.epoch, s.shard)
	for read, pending := uint64(0), info.NumPending; pending > 0; {
		batch, err := c.FetchNoWait(deadFetch)
		if err != nil {
			return fmt.Errorf("%w: %w", schemas.ErrUnavailable, err)
		}
		got := false
		for m := range batch.Messages() {
			meta, err := m.Metadata()
			if err != nil {
				return err
			}
			if got, read, pending = true, read+1, meta.NumPending; meta.Sequence.Consumer != read {
				return fmt.Errorf("%w: a message was lost on the way", schemas.ErrUnavailable)
			}
			if seq, ok := strings.CutPrefix(m.Headers().Get(HeaderOutcomeID), prefix); ok {
				if n, err := strconv.ParseUint(seq, 10, 64); err == nil {
					out[n] = true
				}
			}
		}
		if err := errors.Join(batch.Error(), ctx.Err()); err != nil {
			return fmt.Errorf("%w: %w", schemas.ErrUnavailable, err)
		}
		if got {
			continue
		}
		// What was counted as pending may have expired or been removed meanwhile.
		if info, err = c.Info(ctx); err != nil {
			return fmt.Errorf("%w: %w", schemas.ErrUnavailable, err)
		}
		if info.NumPending > 0 {
			return fmt.Errorf("%w: the broker does not deliver what it has", schemas.ErrUnavailable)
		}
		return nil
	}
	return nil
}
