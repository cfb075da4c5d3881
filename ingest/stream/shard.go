package stream

import (
	"context"
	"crypto/rand"
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
	js     jetstream.JetStream
	nc     *nats.Conn
	shard  int
	name   string // of the FEEDBACK stream
	epoch  string
	reader *reader
}

// ledgerTimeout bounds one request to the broker, when ctx has no nearer end. It is what a request costs whose answer a
// broken connection took with it; it must exceed the commit of a full batch on a slow disk.
const ledgerTimeout = 2 * time.Second

// ledgerAttempts is how often a write of the ledger is tried whose fate is unknown. After each the ledger is read, so that
// a write that did happen is seen; more attempts would only keep the worker from reporting that the broker is away.
const ledgerAttempts = 5

// headerWrite names one write of the ledger, so that a writer recognises its own: two rivals may plan the very same thing.
const headerWrite = "Earshot-Write"

// OpenShard looks the shard's stream up. It creates nothing in the broker before the first read. nc must be the connection
// of js.
func OpenShard(ctx context.Context, js jetstream.JetStream, nc *nats.Conn, shard int) (*Shard, error) {
	s := &Shard{js: js, nc: nc, shard: shard, name: schemas.FeedbackStream(shard)}
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

// Last is the sequence of the newest message of the shard's stream; 0: there was none yet. [schemas.ErrEpoch] when the
// stream is not the one that was opened.
func (s *Shard) Last(ctx context.Context) (uint64, error) {
	info, err := s.info(ctx)
	if err != nil {
		return 0, fmt.Errorf("last sequence of %s: %w", s.name, err)
	}
	if info.Config.Metadata[schemas.EpochKey] != s.epoch {
		return 0, fmt.Errorf("last sequence of %s: %w", s.name, schemas.ErrEpoch)
	}
	return info.State.LastSeq, nil
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

// last returns the newest message of a subject of OUTCOMES, nil when there is none. OUTCOMES allows no direct access, so
// the server answers from the leader.
func (s *Shard) last(ctx context.Context, subject string) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	st, err := s.js.Stream(ctx, schemas.OutcomesStream)
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

// record is one entry of the ledger about to be written.
type record struct {
	subject string
	data    []byte
}

// swap writes an entry of the ledger and what goes with it, if the newest entry is still at expect.
func (s *Shard) swap(ctx context.Context, r record, expect uint64, outcomes []schemas.Outcome) (uint64, error) {
	name := rand.Text()
	for attempt := 1; ; attempt++ {
		try, cancel := context.WithTimeout(ctx, ledgerTimeout)
		seq, err := publishBatch(try, s.nc, ledgerMessages(r, name, expect, outcomes))
		cancel()
		if err == nil {
			return seq, nil
		}
		unknown := errors.Is(err, ErrUnknown)
		if !unknown && !errors.Is(err, schemas.ErrLost) && !errors.Is(err, errAgain) {
			return 0, err
		}
		// Ours may be the write that moved the sequence: its answer was lost, and this was its repetition.
		now, lerr := s.last(ctx, r.subject)
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

// HeaderOutcomeID carries an outcome's deterministic id, by which its readers may drop what they have seen. It is not
// Nats-Msg-Id, because a batch that repeats one of those is refused whole, and the checkpoint in the batch already sees to
// it that an outcome is stored once.
const HeaderOutcomeID = "Earshot-Outcome-Id"

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
