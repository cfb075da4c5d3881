package stream

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot/earshot/schemas"
)

// Adopt takes a shard's stream as a new log: it gets another epoch, and the ledger that was written for what it was before
// goes. Whoever works on the shard next begins at its oldest message; what the table has of these events is known there, so
// they count as duplicates. No worker may run on the shard meanwhile. Cut off half-way, it is to be called again: until then
// the epochs of stream and ledger differ, and no worker begins.
func Adopt(ctx context.Context, js jetstream.JetStream, shard int) (epoch string, err error) {
	name := schemas.FeedbackStream(shard)
	st, err := js.Stream(ctx, name)
	if err != nil {
		return "", fmt.Errorf("adopt %s: %w", name, err)
	}
	cfg := st.CachedInfo().Config
	if err := ours(cfg); err != nil {
		return "", fmt.Errorf("adopt %s: %w", name, err)
	}
	epoch = rand.Text()
	cfg.Metadata = maps.Clone(cfg.Metadata)
	cfg.Metadata[schemas.EpochKey] = epoch
	if _, err := js.UpdateStream(ctx, cfg); err != nil {
		return "", fmt.Errorf("give %s a new epoch: %w", name, err)
	}
	outcomes, err := js.Stream(ctx, schemas.OutcomesStream)
	if err != nil {
		return "", fmt.Errorf("remove the ledger of shard %d: %w", shard, err)
	}
	for _, subject := range []string{schemas.CheckpointSubject(shard), schemas.PlanSubject(shard)} {
		if err := outcomes.Purge(ctx, jetstream.WithPurgeSubject(subject)); err != nil {
			return "", fmt.Errorf("remove the ledger of shard %d: %w", shard, err)
		}
	}
	return epoch, nil
}
