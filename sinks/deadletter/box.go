package deadletter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot/earshot/schemas"
)

// Log is the way into the log that every event takes.
type Log interface {
	// Check says what would have the log refuse the message for good.
	Check(m *schemas.Message) error
	// Publish returns when the messages are on disk.
	Publish(ctx context.Context, msgs []schemas.Message) error
}

// Config is what a box needs.
type Config struct {
	JS     jetstream.JetStream
	Log    Log // nil: letters can be looked at only
	Shards int // of the log
	// Swap stores entries of one stream all together, one directly after the other, if of every entry's subject the newest
	// message is the one expected, and returns the sequence of the last; else it fails with [schemas.ErrLost].
	Swap func(ctx context.Context, entries []schemas.Entry) (uint64, error)
	// Redeliver puts the delivery of an alert, the body of whose letter this is, back to where deliveries wait. Doing it
	// again before it was made does nothing. nil: letters of alerts cannot be replayed.
	Redeliver func(ctx context.Context, id schemas.LetterID, body []byte) error
	// Hold is how long a replay that is under way is left alone before it is taken for cut off. Default 30 s.
	Hold time.Duration
}

// DefaultHold is the default of [Config].Hold: several times what a replay of one batch takes on a slow disk.
const DefaultHold = 30 * time.Second

// Box is the dead letters of an installation.
type Box struct{ cfg Config }

// New returns a box; nothing happens before it is asked.
func New(cfg Config) *Box {
	if cfg.Hold == 0 {
		cfg.Hold = DefaultHold
	}
	return &Box{cfg}
}

// Letters yields the chosen letters in the order in which they were made, without their bodies. It takes about 150 bytes
// of memory for each letter, and 380 more for each about which something was decided (measured).
func (b *Box) Letters(ctx context.Context, f Filter) iter.Seq2[*Letter, error] {
	return b.letters(ctx, f, false)
}

// Letter returns the one letter with the name, body included.
func (b *Box) Letter(ctx context.Context, id schemas.LetterID) (*Letter, error) {
	var found []*Letter
	for l, err := range b.letters(ctx, Filter{IDs: []schemas.LetterID{id}, Shard: &id.Shard}, true) {
		if err != nil {
			return nil, err
		}
		found = append(found, l)
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, fmt.Errorf("there is no dead letter %s: 'earshot dlq list' shows those that are there", id.Short())
	}
	return nil, fmt.Errorf("%s names %d letters of logs made anew: give its full name, %s or another", id.Short(), len(found), found[0].ID)
}

// letters yields the chosen letters, each once, with or without their bodies.
func (b *Box) letters(ctx context.Context, f Filter, bodies bool) iter.Seq2[*Letter, error] {
	return func(yield func(*Letter, error) bool) {
		if err := b.copied(ctx); err != nil {
			yield(nil, err)
			return
		}
		decided, err := b.dispositions(ctx, f.Shard)
		if err != nil {
			yield(nil, err)
			return
		}
		cfg := jetstream.ConsumerConfig{FilterSubjects: []string{f.subject()}, HeadersOnly: !bodies}
		if !f.Since.IsZero() {
			since := f.Since.Add(-time.Minute) // a letter is made after its original was received; clocks may differ a little
			cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &since
		}
		seen, n := map[schemas.LetterID]struct{}{}, 0
		err = scan(ctx, b.cfg.JS, schemas.DeadLettersStream, cfg, func(m jetstream.Msg, md *jetstream.MsgMetadata) (bool, error) {
			l, ok := read(m, md)
			if !ok {
				return true, nil
			}
			if _, again := seen[l.ID]; again { // a ledger that was lost and rebuilt may bring letters a second time
				return true, nil
			}
			seen[l.ID] = struct{}{}
			if d, ok := decided[l.ID]; ok {
				l.apply(d.disposition, d.seq, d.when)
			}
			if !f.match(l) {
				return true, nil
			}
			n++
			return yield(l, nil) && (f.Limit == 0 || n < f.Limit), nil
		})
		if err != nil {
			yield(nil, fmt.Errorf("read the dead letters: %w", err))
		}
	}
}

// Sequences lists which messages of a shard's log have a dead letter, in order and each once, without those that were erased
// with their messages. It takes 8 bytes for each.
func (b *Box) Sequences(ctx context.Context, epoch string, shard int) ([]uint64, error) {
	if err := b.copied(ctx); err != nil {
		return nil, err
	}
	var out []uint64
	cfg := jetstream.ConsumerConfig{FilterSubjects: []string{(&Filter{Shard: &shard}).subject()}, HeadersOnly: true}
	err := scan(ctx, b.cfg.JS, schemas.DeadLettersStream, cfg, func(m jetstream.Msg, _ *jetstream.MsgMetadata) (bool, error) {
		if id, ok := schemas.ParseLetterID(m.Headers().Get(schemas.HeaderOutcomeID)); ok && id.Epoch == epoch && id.Shard == shard && m.Headers().Get(schemas.HeaderErased) == "" {
			out = append(out, id.Seq)
		}
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the dead letters of shard %d: %w", shard, err)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// Age is how long dead letters are kept; 0: for ever.
func (b *Box) Age(ctx context.Context) (time.Duration, error) {
	st, err := b.cfg.JS.Stream(ctx, schemas.DeadLettersStream)
	if err != nil {
		return 0, fmt.Errorf("look up how long dead letters are kept: %w", err)
	}
	return st.CachedInfo().Config.MaxAge, nil
}

// decision is a stored disposition.
type decision struct {
	disposition
	seq  uint64
	when time.Time
}

// dispositions reads the newest disposition of every letter, or of a shard's.
func (b *Box) dispositions(ctx context.Context, shard *int) (map[schemas.LetterID]decision, error) {
	subject := schemas.DispositionSubjects
	if shard != nil {
		subject = "disposition." + shardName(*shard) + ".>"
	}
	out := map[schemas.LetterID]decision{}
	cfg := jetstream.ConsumerConfig{FilterSubjects: []string{subject}, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy}
	err := scan(ctx, b.cfg.JS, schemas.DispositionsStream, cfg, func(m jetstream.Msg, md *jetstream.MsgMetadata) (bool, error) {
		tokens := strings.Split(m.Subject(), ".")
		if len(tokens) != 4 {
			return true, nil
		}
		id, ok := schemas.ParseLetterID(schemas.PercentDecode(tokens[2]) + "-" + tokens[1] + "-" + tokens[3])
		if !ok {
			return true, nil
		}
		d := decision{seq: md.Sequence.Stream, when: md.Timestamp.UTC()}
		if err := json.Unmarshal(m.Data(), &d.disposition); err != nil {
			return false, fmt.Errorf("the entry at %d: %w", d.seq, err)
		}
		out[id] = d
		return true, nil
	})
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return out, nil // nothing was ever decided: the node that makes the stream has not been started yet
	}
	if err != nil {
		return nil, fmt.Errorf("read what was decided about dead letters: %w", err)
	}
	return out, nil
}
