package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot/earshot/schemas"
)

// Shard is what the worker of one shard needs of the log: its events in order, and its ledger. It belongs to one
// goroutine at a time; [Shard.Close] may be called from any.
type Shard struct {
	ledger
	shard  int
	name   string // of the FEEDBACK stream
	epoch  string
	reader *reader
}

// OpenShard looks the shard's stream up. It creates nothing in the broker before the first read. nc must be the connection
// of js.
func OpenShard(ctx context.Context, js jetstream.JetStream, nc *nats.Conn, shard int) (*Shard, error) {
	s := &Shard{ledger: ledger{js, nc}, shard: shard, name: schemas.FeedbackStream(shard)}
	info, err := s.info(ctx)
	if err != nil {
		return nil, fmt.Errorf("open shard %d: %w", shard, err)
	}
	if err := ours(info.Config); err != nil {
		return nil, fmt.Errorf("open shard %d: %w", shard, err)
	}
	s.epoch = info.Config.Metadata[schemas.EpochKey]
	s.reader = newReader(s)
	return s, nil
}

// Epoch is the random name given to the stream when it was created. A stream that was deleted and made again has another.
func (s *Shard) Epoch() string { return s.epoch }

// Close gives the broker back what reading took. Reading again after it begins anew.
func (s *Shard) Close() { s.reader.close() }

// First is the sequence of the oldest message that is still there; one more than the newest ever, if none is. Errors are
// those of [Shard.Last].
func (s *Shard) First(ctx context.Context) (uint64, error) {
	state, err := s.state(ctx)
	if err != nil {
		return 0, fmt.Errorf("first sequence of %s: %w", s.name, err)
	}
	if state.Msgs == 0 {
		return state.LastSeq + 1, nil
	}
	return state.FirstSeq, nil
}

// Last is the sequence of the newest message of the shard's stream; 0: there was none yet. [schemas.ErrEpoch] when the
// stream is not the one that was opened.
func (s *Shard) Last(ctx context.Context) (uint64, error) {
	state, err := s.state(ctx)
	if err != nil {
		return 0, fmt.Errorf("last sequence of %s: %w", s.name, err)
	}
	return state.LastSeq, nil
}

// state is what the shard's stream holds.
func (s *Shard) state(ctx context.Context) (jetstream.StreamState, error) {
	info, err := s.info(ctx)
	if err == nil && info.Config.Metadata[schemas.EpochKey] != s.epoch {
		err = schemas.ErrEpoch
	}
	if err != nil {
		return jetstream.StreamState{}, err
	}
	return info.State, nil
}

// Full is [ErrFull] when the shard's stream has no room for a message of the largest size within its limit of bytes. Other
// errors are those of [Shard.Last].
func (s *Shard) Full(ctx context.Context) error {
	info, err := s.info(ctx)
	if err == nil && info.Config.Metadata[schemas.EpochKey] != s.epoch {
		err = schemas.ErrEpoch
	}
	if err != nil {
		return fmt.Errorf("room in %s: %w", s.name, err)
	}
	if most := info.Config.MaxBytes; most > 0 && info.State.Bytes+MaxMessageBytes > uint64(most) {
		return fmt.Errorf("%s holds %d of at most %d bytes: %w", s.name, info.State.Bytes, most, ErrFull)
	}
	return nil
}

// Since is the sequence of the first message that the log received at the time or later and still has; one more than the
// last, if there is none.
func (s *Shard) Since(ctx context.Context, t time.Time) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	info, err := s.info(ctx)
	if err != nil {
		return 0, err
	}
	c, err := s.js.CreateConsumer(ctx, s.name, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &t, HeadersOnly: true,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return 0, fmt.Errorf("look for the first message of %s since %v: %w: %w", s.name, t, schemas.ErrUnavailable, err)
	}
	defer s.js.DeleteConsumer(ctx, s.name, c.CachedInfo().Name) // it would go by itself in a minute
	if c.CachedInfo().NumPending == 0 {
		return info.State.LastSeq + 1, nil
	}
	m, err := c.Next(jetstream.FetchMaxWait(ledgerTimeout))
	if err != nil {
		return 0, fmt.Errorf("look for the first message of %s since %v: %w: %w", s.name, t, schemas.ErrUnavailable, err)
	}
	md, err := m.Metadata()
	if err != nil {
		return 0, fmt.Errorf("look for the first message of %s since %v: %w", s.name, t, err)
	}
	return md.Sequence.Stream, nil
}

func (s *Shard) info(ctx context.Context) (*jetstream.StreamInfo, error) {
	st, err := s.js.Stream(ctx, s.name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("%s: %w: provision the streams", s.name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", s.name, schemas.ErrUnavailable, err)
	}
	return st.CachedInfo(), nil
}

// Load returns the shard's newest plan and checkpoint. Both are read from the leader of the stream, so that a write that
// was confirmed is seen. They belong together: no plan was stored between the two reads.
func (s *Shard) Load(ctx context.Context) (schemas.Ledger, error) {
	for {
		l, again, err := s.load(ctx)
		if err != nil {
			return schemas.Ledger{}, fmt.Errorf("load the ledger of shard %d: %w", s.shard, err)
		}
		if !again {
			return l, nil
		}
	}
}

func (s *Shard) load(ctx context.Context) (l schemas.Ledger, again bool, err error) {
	plan, err := s.last(ctx, schemas.PlanSubject(s.shard))
	if err != nil {
		return l, false, err
	}
	cp, err := s.last(ctx, schemas.CheckpointSubject(s.shard))
	if err != nil {
		return l, false, err
	}
	if cp != nil {
		l.Checkpoint, l.CheckpointSeq = new(schemas.Checkpoint), cp.Sequence
		if err := json.Unmarshal(cp.Data, l.Checkpoint); err != nil {
			return l, false, fmt.Errorf("read the checkpoint at %d: %w", cp.Sequence, err)
		}
	}
	if plan != nil {
		l.Plan, l.PlanSeq = new(schemas.Plan), plan.Sequence
		if err := json.Unmarshal(plan.Data, l.Plan); err != nil {
			return l, false, fmt.Errorf("read the plan at %d: %w", plan.Sequence, err)
		}
	}
	check, err := s.last(ctx, schemas.PlanSubject(s.shard))
	if err != nil {
		return l, false, err
	}
	return l, check != nil && check.Sequence != l.PlanSeq, nil
}

// SavePlan stores the plan if the newest one is still at expect (0: there is none yet) and returns its sequence.
// [schemas.ErrLost]: it is not. A write whose answer was lost is looked for before anything is said about it; an error
// with [ErrUnknown] in its chain is returned only when the broker stays away.
func (s *Shard) SavePlan(ctx context.Context, p schemas.Plan, expect uint64) (uint64, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return 0, fmt.Errorf("save the plan of shard %d: %w", s.shard, err)
	}
	seq, err := s.swap(ctx, record{schemas.PlanSubject(s.shard), data}, expect, nil)
	if err != nil {
		return 0, fmt.Errorf("save the plan %d–%d of shard %d: %w", p.Lo, p.Hi, s.shard, err)
	}
	return seq, nil
}

// Commit stores the checkpoint, if the newest one is still at expect (0: there is none yet), together with the outcomes,
// and returns the checkpoint's sequence.
//
// Outcomes that do not fit one batch go out in several. Each carries the checkpoint as given, Hi included, but with
// Outcomes set to how many outcomes are out by then; the last carries it with Outcomes 0. A checkpoint whose Outcomes is
// not 0 therefore says: everything up to Hi is accounted for, and the outcomes of the plan from that index on are still to
// be published. Whoever finds one makes the same outcomes of the same plan again and calls Commit with the same
// checkpoint and done set to Outcomes. cp.Outcomes is ignored.
//
// Errors are those of [Shard.SavePlan]. With [schemas.ErrLost] some batches may have been stored before the loss, each
// with its checkpoint.
func (s *Shard) Commit(ctx context.Context, cp schemas.Checkpoint, expect uint64, outcomes []schemas.Outcome, done int) (uint64, error) {
	if done < 0 || done > len(outcomes) {
		return 0, fmt.Errorf("commit shard %d up to %d: %d of %d outcomes are said to be out: %w", s.shard, cp.Hi, done, len(outcomes), ErrRefused)
	}
	for {
		n := fit(outcomes[done:])
		batch := outcomes[done : done+n]
		done += n
		cp.Outcomes = done
		if done == len(outcomes) {
			cp.Outcomes = 0
		}
		data, err := json.Marshal(cp)
		if err != nil {
			return 0, fmt.Errorf("commit shard %d: %w", s.shard, err)
		}
		expect, err = s.swap(ctx, record{schemas.CheckpointSubject(s.shard), data}, expect, batch)
		if err != nil {
			return 0, fmt.Errorf("commit shard %d up to %d: %w", s.shard, cp.Hi, err)
		}
		if done == len(outcomes) {
			return expect, nil
		}
	}
}

// fit says how many of the outcomes go into one batch beside the checkpoint.
func fit(outcomes []schemas.Outcome) int {
	size := 0
	for i := range outcomes {
		o := &outcomes[i]
		size += messageOverhead + len(o.Subject) + len(o.Data)
		for k, v := range o.Header {
			size += len(k) + len(v) + 4
		}
		if i > 0 && size > maxBatchBytes || i == MaxBatch-1 {
			return i
		}
	}
	return len(outcomes)
}

// HeaderOutcomeID carries an outcome's deterministic id, by which its readers may drop what they have seen. It is not
// Nats-Msg-Id, because a batch that repeats one of those is refused whole, and the checkpoint in the batch already sees to
// it that an outcome is stored once.
const HeaderOutcomeID = schemas.HeaderOutcomeID

// Swap stores the entries in one atomic batch, in order and one directly after the other, if of every entry's subject the
// newest message is still the one expected; it returns the sequence of the last. Subjects must differ and belong to one
// stream; at most [MaxBatch] entries go. [schemas.ErrLost]: one of the subjects has moved on, and nothing was stored. With
// [ErrUnknown] only a look into the stream tells whether it was.
func Swap(ctx context.Context, nc *nats.Conn, entries []schemas.Entry) (uint64, error) {
	msgs := make([]*nats.Msg, len(entries))
	for i, e := range entries {
		msgs[i] = &nats.Msg{Subject: e.Subject, Data: e.Data, Header: nats.Header{headerExpectedLast: {fmt.Sprint(e.Expect)}}}
	}
	for attempt := 1; ; attempt++ {
		try, cancel := context.WithTimeout(ctx, ledgerTimeout)
		seq, err := publishBatch(try, nc, msgs)
		cancel()
		if err == nil || !errors.Is(err, errAgain) || attempt == ledgerAttempts {
			return seq, err
		}
	}
}

// ShardState is what a shard's stream holds, for reckoning up.
type ShardState struct {
	Shard    int
	Epoch    string
	First    uint64 // sequence of the oldest message still there; Last+1: none is
	Last     uint64 // sequence of the newest message ever; 0: there was none yet
	Messages uint64 // how many are there
	Deleted  uint64 // how many between First and Last were removed one by one
}

// Accepted returns the state of every shard's stream. While the log keeps everything, Last is the number of events it
// ever accepted.
func Accepted(ctx context.Context, js jetstream.JetStream, shards int) ([]ShardState, error) {
	out := make([]ShardState, 0, shards)
	for i := range shards {
		st, err := js.Stream(ctx, schemas.FeedbackStream(i))
		if err != nil {
			return nil, fmt.Errorf("state of shard %d: %w", i, err)
		}
		info := st.CachedInfo()
		out = append(out, ShardState{
			Shard: i, Epoch: info.Config.Metadata[schemas.EpochKey],
			First: info.State.FirstSeq, Last: info.State.LastSeq,
			Messages: info.State.Msgs, Deleted: uint64(info.State.NumDeleted),
		})
	}
	return out, nil
}
