package deadletter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot/earshot/schemas"
)

// A replay works on so many letters, or so many bytes of them, at a time: few enough to hold, enough that the syncs of the
// broker are shared.
const (
	batchLetters = 250
	batchBytes   = 4 << 20
)

// ErrBusy says that a letter is in the hands of another replay, or of one that was cut off a moment ago.
var ErrBusy = errors.New("another replay is at it, or was cut off a moment ago: try again in half a minute")

// Replay sends the chosen letters into the log again. Only open letters and those whose replay was cut off are taken, and
// discarded ones if the filter's states name them. It tells report of each letter, with its new state, and the reason if it
// could not be sent. A letter that is sent is stored at most once however often this is called and wherever it is cut off;
// an error of its own means that it was cut off, and calling it again goes on.
func (b *Box) Replay(ctx context.Context, f Filter, report func(*Letter, error)) error {
	if !among(&f, Open, Replaying, Discarded) {
		return nil
	}
	return b.batches(ctx, f, true, report, func(batch []*task) error { return b.replay(ctx, batch) })
}

// Mend sends the letter with the name into the log with another body, and with headers replaced, or removed where the new
// value is empty. What is still at fault is refused, and nothing is sent. It returns the letter in its new state.
func (b *Box) Mend(ctx context.Context, id schemas.LetterID, data []byte, header map[string]string) (*Letter, error) {
	l, err := b.Letter(ctx, id)
	if err != nil {
		return nil, err
	}
	if l.Delivery() {
		return l, fmt.Errorf("%s is a delivery of an alert, which cannot be mended: replay it as it is", l.ID.Short())
	}
	if l.State == Replayed {
		return l, fmt.Errorf("%s is in the log again already, as %s: if it died there, it has a new dead letter under that name", l.ID.Short(), l.Again.Short())
	}
	l.Data = data
	for k, v := range header {
		maps.DeleteFunc(l.Header, func(have, _ string) bool { return strings.EqualFold(have, k) })
		if v != "" {
			l.Header[k] = v
		}
	}
	e, problems := schemas.DecodeRecord(&schemas.Record{Time: time.Now(), Header: l.Header, Data: l.Data})
	if len(problems) > 0 {
		return l, fmt.Errorf("the mended event is still at fault: %w", problems)
	}
	t := &task{letter: l, message: l.message(), mended: true}
	t.message.Shard = schemas.Shard(e.PartitionKey(), b.cfg.Shards)
	t.message.Subject = e.LogSubject(t.message.Shard)
	if err := b.replay(ctx, []*task{t}); err != nil {
		return l, err
	}
	if t.err == nil && !t.sent {
		return l, fmt.Errorf("%s was in the log already, as %s, sent by a replay that was cut off: the mended event was not sent", id.Short(), l.Again.Short())
	}
	return l, t.err
}

// Discard notes of the chosen open letters that they are not wanted. They stay where they are and can still be replayed.
// A letter whose replay was cut off is discarded only if it is not in the log; if it is, its state is replayed then.
func (b *Box) Discard(ctx context.Context, f Filter, report func(*Letter, error)) error {
	if !among(&f, Open, Replaying) {
		return nil
	}
	return b.batches(ctx, f, false, report, func(batch []*task) error {
		if err := b.settle(ctx, batch); err != nil {
			return err
		}
		return b.swap(ctx, batch, func(*task) disposition { return disposition{State: Discarded} })
	})
}

// among leaves of the filter's states those that something can be done about, and says whether there are any. A filter that
// names none means the letters still to be dealt with.
func among(f *Filter, allowed ...State) bool {
	if len(f.States) == 0 {
		f.States = []State{Open, Replaying}
		return true
	}
	f.States = slices.DeleteFunc(slices.Clone(f.States), func(s State) bool { return !slices.Contains(allowed, s) })
	return len(f.States) > 0
}

// task is a letter that something is done about.
type task struct {
	letter  *Letter
	message schemas.Message
	mended  bool
	sent    bool  // by this call
	err     error // why nothing more is done about it
}

// todo are the tasks that are neither done nor given up.
func todo(batch []*task) []*task {
	return slices.DeleteFunc(slices.Clone(batch), func(t *task) bool { return t.err != nil || t.letter.State == Replayed })
}

// batches calls do for the chosen letters, a batch at a time, and reports what came of each.
func (b *Box) batches(ctx context.Context, f Filter, bodies bool, report func(*Letter, error), do func([]*task) error) error {
	var batch []*task
	size := 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		if err := do(batch); err != nil {
			return err
		}
		for _, t := range batch {
			report(t.letter, t.err)
		}
		batch, size = nil, 0
		return nil
	}
	for l, err := range b.letters(ctx, f, bodies) {
		if err != nil {
			return err
		}
		if len(batch) == batchLetters || len(batch) > 0 && size+l.Size > batchBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		batch, size = append(batch, &task{letter: l, message: l.message()}), size+l.Size
	}
	return flush()
}

// replay sends letters: claim, publish, look, note.
func (b *Box) replay(ctx context.Context, batch []*task) error {
	deliveries := slices.DeleteFunc(slices.Clone(batch), func(t *task) bool { return !t.letter.Delivery() })
	if err := b.redeliver(ctx, deliveries); err != nil {
		return err
	}
	batch = slices.DeleteFunc(slices.Clone(batch), func(t *task) bool { return t.letter.Delivery() })
	for _, t := range batch {
		t.err = b.cfg.Log.Check(&t.message)
	}
	if err := b.settle(ctx, todo(batch)); err != nil {
		return err
	}
	where := map[int]position{}
	for _, t := range todo(batch) {
		if err := b.position(ctx, t.message.Shard, where); err != nil {
			return err
		}
	}
	err := b.swap(ctx, todo(batch), func(t *task) disposition {
		p := where[t.message.Shard]
		return disposition{State: Replaying, Epoch: p.epoch, Shard: t.message.Shard, After: p.last, Mended: t.mended}
	})
	if err != nil {
		return err
	}
	sent := todo(batch)
	if len(sent) == 0 {
		return nil
	}
	msgs := make([]schemas.Message, len(sent))
	for i, t := range sent {
		msgs[i], t.sent = t.message, true
	}
	if err := b.cfg.Log.Publish(ctx, msgs); err != nil {
		return fmt.Errorf("send %d dead letters into the log: %w; call it again: what has arrived is not sent twice", len(sent), err)
	}
	if err := b.note(ctx, sent); err != nil {
		return err
	}
	if left := todo(sent); len(left) > 0 {
		return fmt.Errorf("%d dead letters were sent but are not in the log, such as %s: call it again", len(left), left[0].letter.ID)
	}
	return nil
}

// redeliver gives deliveries of alerts back: claim, give back, note. One that was cut off is given back again, which does
// nothing where it still waits; made twice, it has the same key.
func (b *Box) redeliver(ctx context.Context, batch []*task) error {
	if err := b.settle(ctx, batch); err != nil {
		return err
	}
	state := func(s State) func(*task) disposition {
		return func(*task) disposition { return disposition{State: s, Shard: schemas.AlertShard} }
	}
	if err := b.swap(ctx, todo(batch), state(Replaying)); err != nil {
		return err
	}
	for _, t := range todo(batch) {
		if b.cfg.Redeliver == nil {
			t.err = errors.New("deliveries of alerts cannot be replayed here")
		} else if err := b.cfg.Redeliver(ctx, t.letter.ID, t.letter.Data); err != nil {
			return fmt.Errorf("give %s back: %w", t.letter.ID.Short(), err)
		}
	}
	return b.swap(ctx, todo(batch), state(Replayed))
}

// settle finds out about letters whose replay was cut off. It claims them first, so that who was only held up finds that
// the letter is no longer in its hands.
func (b *Box) settle(ctx context.Context, batch []*task) error {
	var stale []*task
	for _, t := range batch {
		switch {
		case t.letter.State != Replaying:
		case time.Since(t.letter.Decided) < b.cfg.Hold:
			t.err = ErrBusy
		default:
			stale = append(stale, t)
		}
	}
	if err := b.swap(ctx, stale, func(t *task) disposition { return t.letter.disposition }); err != nil {
		return err
	}
	return b.note(ctx, slices.DeleteFunc(todo(stale), func(t *task) bool { return t.letter.Delivery() })) // it has no place in the log
}

// note looks for letters in the log, where their claims say they were sent, and notes those it finds as replayed.
func (b *Box) note(ctx context.Context, batch []*task) error {
	shards := map[int][]*task{}
	for _, t := range batch {
		shards[t.letter.disposition.Shard] = append(shards[t.letter.disposition.Shard], t)
	}
	var found []*task
	where := map[int]position{}
	for shard, tasks := range shards {
		if err := b.position(ctx, shard, where); err != nil {
			return err
		}
		seqs, err := b.find(ctx, shard, where[shard].epoch, tasks)
		if err != nil {
			return err
		}
		for _, t := range tasks {
			if seq, ok := seqs[t.letter.ID.String()]; ok {
				t.letter.disposition.Epoch, t.letter.disposition.Seq = where[shard].epoch, seq
				found = append(found, t)
			}
		}
	}
	replayed := func(t *task) disposition {
		d := t.letter.disposition
		d.State = Replayed
		return d
	}
	if err := b.swap(ctx, found, replayed); err != nil {
		return err
	}
	for _, t := range found {
		if errors.Is(t.err, ErrBusy) { // somebody decided otherwise meanwhile, but it is in the log, and that counts
			if err := b.insist(ctx, t, replayed(t)); err != nil {
				return err
			}
			t.err = nil
		}
	}
	return nil
}

// insist notes a fact about a letter whatever was noted before.
func (b *Box) insist(ctx context.Context, t *task, d disposition) error {
	st, err := b.cfg.JS.Stream(ctx, schemas.DispositionsStream)
	if err != nil {
		return fmt.Errorf("note that %s is replayed: %w", t.letter.ID, err)
	}
	for {
		m, err := st.GetLastMsgForSubject(ctx, schemas.DispositionSubject(t.letter.ID))
		if err != nil {
			return fmt.Errorf("note that %s is replayed: %w", t.letter.ID, err)
		}
		t.letter.at, t.err = m.Sequence, nil
		if err := b.swap(ctx, []*task{t}, func(*task) disposition { return d }); err != nil || t.err == nil {
			return err
		}
	}
}

// position is how far a shard's log reaches.
type position struct {
	epoch string
	last  uint64
}

// position looks a shard up that is not yet in where.
func (b *Box) position(ctx context.Context, shard int, where map[int]position) error {
	if _, ok := where[shard]; ok {
		return nil
	}
	st, err := b.cfg.JS.Stream(ctx, schemas.FeedbackStream(shard))
	if err != nil {
		return fmt.Errorf("look up the end of shard %d: %w", shard, err)
	}
	info := st.CachedInfo()
	where[shard] = position{info.Config.Metadata[schemas.EpochKey], info.State.LastSeq}
	return nil
}

// find looks for letters in a shard's log and returns the sequence of each by its name, the lowest if it is there twice.
func (b *Box) find(ctx context.Context, shard int, epoch string, tasks []*task) (map[string]uint64, error) {
	const mostSubjects = 64 // more than that, and the server is not helped by a list of them
	wanted, subjects := map[string]bool{}, map[string]bool{}
	after := tasks[0].letter.disposition.After
	for _, t := range tasks {
		d := t.letter.disposition
		if d.Epoch != epoch { // the log was made anew since
			d.After = 0
		}
		after = min(after, d.After)
		wanted[t.letter.ID.String()] = true
		subjects[t.message.Subject] = true
	}
	cfg := jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: after + 1, HeadersOnly: true}
	if !slices.ContainsFunc(tasks, func(t *task) bool { return t.mended || t.letter.Mended }) && len(subjects) <= mostSubjects {
		cfg.FilterSubjects = slices.Collect(maps.Keys(subjects)) // a mended event may have been sent under another subject before
	}
	out := map[string]uint64{}
	err := scan(ctx, b.cfg.JS, schemas.FeedbackStream(shard), cfg, func(m jetstream.Msg, md *jetstream.MsgMetadata) (bool, error) {
		id := m.Headers().Get(schemas.HeaderReplay)
		if _, twice := out[id]; wanted[id] && !twice {
			out[id] = md.Sequence.Stream
		}
		return len(out) < len(wanted), nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for dead letters in the log: %w", err)
	}
	return out, nil
}

// swap stores a disposition of each letter that is still to be dealt with, together if nobody else is at any of them. A
// letter about which somebody else has decided meanwhile gets [ErrBusy].
func (b *Box) swap(ctx context.Context, batch []*task, decide func(*task) disposition) error {
	batch = todo(batch)
	if len(batch) == 0 {
		return nil
	}
	decisions := make([]disposition, len(batch))
	entries := make([]schemas.Entry, len(batch))
	for i, t := range batch {
		decisions[i] = decide(t)
		data, err := json.Marshal(decisions[i])
		if err != nil {
			return fmt.Errorf("note what was decided about %s: %w", t.letter.ID, err)
		}
		entries[i] = schemas.Entry{Subject: schemas.DispositionSubject(t.letter.ID), Expect: t.letter.at, Data: data}
	}
	last, err := b.cfg.Swap(ctx, entries)
	switch {
	case err == nil:
		now := time.Now().UTC()
		for i, t := range batch {
			t.letter.apply(decisions[i], last-uint64(len(batch)-1-i), now)
		}
		return nil
	case !errors.Is(err, schemas.ErrLost):
		return fmt.Errorf("note what was decided about %d dead letters: %w; if the stream %s is missing, start a node once, which makes it", len(batch), err, schemas.DispositionsStream)
	case len(batch) == 1:
		batch[0].err = ErrBusy
		return nil
	}
	for _, t := range batch {
		if err := b.swap(ctx, []*task{t}, func(*task) disposition { return decide(t) }); err != nil {
			return err
		}
	}
	return nil
}
