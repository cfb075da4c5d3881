package stream

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot/earshot/schemas"
)

// Journal is one document in OUTCOMES that never expires and is replaced by compare-and-swap: the state of something that
// one process at a time looks after.
type Journal struct {
	ledger  ledger
	subject string
}

// OpenJournal returns the journal under a subject below [schemas.CheckpointPrefix]. Nothing is created before the first
// [Journal.Swap]. nc must be the connection of js.
func OpenJournal(js jetstream.JetStream, nc *nats.Conn, subject string) *Journal {
	return &Journal{ledger: ledger{js, nc}, subject: subject}
}

// Load returns the newest document and its sequence; nil and 0 when there is none yet.
func (j *Journal) Load(ctx context.Context) ([]byte, uint64, error) {
	m, err := j.ledger.last(ctx, j.subject)
	if err != nil {
		return nil, 0, fmt.Errorf("load %s: %w", j.subject, err)
	}
	if m == nil {
		return nil, 0, nil
	}
	return m.Data, m.Sequence, nil
}

// Swap stores the document, if the newest one is still at expect (0: there is none yet), together with the outcomes, all
// or nothing, and returns its sequence. More outcomes than [MaxBatch] less one are refused. Errors are those of
// [Shard.SavePlan].
func (j *Journal) Swap(ctx context.Context, document []byte, expect uint64, outcomes []schemas.Outcome) (uint64, error) {
	if fit(outcomes) < len(outcomes) {
		return 0, fmt.Errorf("store %s: %d outcomes do not fit one batch: %w", j.subject, len(outcomes), ErrRefused)
	}
	seq, err := j.ledger.swap(ctx, record{j.subject, document}, expect, outcomes)
	if err != nil {
		return 0, fmt.Errorf("store %s: %w", j.subject, err)
	}
	return seq, nil
}
