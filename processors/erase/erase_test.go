package erase_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/earshot/earshot/ingest/broker"
	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/processors/audit"
	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/processors/erase"
	"github.com/earshot/earshot/processors/privacy"
	"github.com/earshot/earshot/processors/revise"
	"github.com/earshot/earshot/processors/worker"
	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/clickhouse"
	"github.com/earshot/earshot/sinks/clickhouse/engine/enginetest"
)

// stores are a real log and a real table with a worker between them.
type stores struct {
	t         *testing.T
	ctx       context.Context
	nc        *nats.Conn
	js        jetstream.JetStream
	store     *clickhouse.Store
	publisher *stream.Publisher
	log       *stream.Shard
	keyer     *privacy.Keyer
	worker    worker.Config
	stop      func()
}

func openStores(t *testing.T) *stores {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	s := &stores{t: t, ctx: ctx}
	b, err := broker.Start(ctx, broker.Config{Dir: t.TempDir(), Addr: "127.0.0.1:0", Shards: 1, Logger: zerolog.Nop()})
	s.must(err)
	t.Cleanup(func() { b.Close() })
	s.nc, s.js, err = stream.Connect(b.URL(), "test", zerolog.Nop())
	s.must(err)
	t.Cleanup(s.nc.Close)
	_, err = stream.Provision(ctx, s.js, stream.ProvisionConfig{Shards: 1})
	s.must(err)
	s.publisher, err = stream.NewPublisher(s.nc, stream.PublisherConfig{Shards: 1})
	s.must(err)
	t.Cleanup(func() { s.publisher.Close(context.Background()) })
	dsn := enginetest.Start(t)
	s.store, err = clickhouse.Open(ctx, clickhouse.Config{DSN: dsn, Database: dsn[strings.LastIndex(dsn, "/")+1:], Logger: zerolog.Nop()})
	s.must(err)
	t.Cleanup(func() { s.store.Close() })
	_, err = s.store.Migrate(ctx, clickhouse.MigrateOptions{})
	s.must(err)
	s.log, err = stream.OpenShard(ctx, s.js, s.nc, 0)
	s.must(err)
	t.Cleanup(s.log.Close)
	s.keyer, err = privacy.NewKeyer([]byte("0123456789abcdef"), []byte("fedcba9876543210"))
	s.must(err)
	classifier, err := classify.Load()
	s.must(err)
	masker, err := privacy.NewMasker()
	s.must(err)
	log, err := stream.OpenShard(ctx, s.js, s.nc, 0)
	s.must(err)
	t.Cleanup(log.Close)
	s.worker = worker.Config{Log: log, Store: s.store, Classifier: classifier, Keyer: s.keyer, Masker: masker, Logger: zerolog.Nop(), Linger: 5 * time.Millisecond, Takeover: 100 * time.Millisecond}
	s.work()
	t.Cleanup(func() { s.stop() })
	return s
}

// work runs a worker until stop.
func (s *stores) work() {
	ctx, cancel := context.WithCancel(s.ctx)
	ended := make(chan error, 1)
	go func() { ended <- worker.New(s.worker).Run(ctx) }()
	s.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("the worker ended: %v", err)
		}
	}
}

func (s *stores) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// say puts an event into the log; an id said twice is a repetition.
func (s *stores) say(customer, id string, kind schemas.Kind, text, ref string) {
	s.t.Helper()
	e := &schemas.Event{ID: id, Source: "/t", Type: kind.Type(), Kind: kind, Time: time.Now().UTC().Truncate(time.Millisecond), Tenant: "acme",
		Data: schemas.Data{Channel: "review", CustomerID: customer, Text: text, EventRef: ref}}
	s.must(s.publish(s.ctx, e))
}

func (s *stores) publish(ctx context.Context, e *schemas.Event) error {
	return s.publisher.Publish(ctx, []schemas.Message{{Subject: e.LogSubject(0), Data: schemas.AppendStructured(nil, e), Header: map[string]string{schemas.HeaderContentType: schemas.ContentTypeEvent}}})
}

// settled waits until the worker has dealt with everything.
func (s *stores) settled() {
	s.t.Helper()
	for {
		last, err := s.log.Last(s.ctx)
		s.must(err)
		l, err := s.log.Load(s.ctx)
		s.must(err)
		if l.Checkpoint != nil && l.Checkpoint.Hi == last && l.Checkpoint.Outcomes == 0 {
			return
		}
		if s.ctx.Err() != nil {
			s.t.Fatal("the worker does not get there")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// ask returns an answer as text, values separated by spaces.
func (s *stores) ask(query string) string {
	s.t.Helper()
	s.settled()
	var out strings.Builder
	s.must(s.store.Query(s.ctx, query, nil, "TSV", &out))
	return strings.TrimSpace(strings.ReplaceAll(out.String(), "\t", " "))
}

// audited says that the books are right.
func (s *stores) audited() {
	s.t.Helper()
	s.settled()
	v, err := audit.Check(s.ctx, 0, s.log, s.store, schemas.Checkpoint{})
	s.must(err)
	if !v.OK() {
		s.t.Errorf("the audit says %+v", v.Faults)
	}
}

// errCut is what a test's fault says.
var errCut = errors.New("cut off here")

// faulty fails at one of the calls that an eraser makes, before or after it took effect.
type faulty struct {
	erase.Streams
	erase.Table
	publish func(context.Context, *schemas.Event) error
	calls   int
	at      int // 0: nowhere
	after   bool
}

// call makes a call with the fault around it.
func (f *faulty) call(do func() error) error {
	f.calls++
	if f.calls == f.at && !f.after {
		return errCut
	}
	err := do()
	if f.calls == f.at {
		return errCut
	}
	return err
}

func (f *faulty) Log(ctx context.Context, r *schemas.EraseRequest, match func(*schemas.Record) bool) (n uint64, err error) {
	err = f.call(func() error { n, err = f.Streams.Log(ctx, r, match); return err })
	return n, err
}

func (f *faulty) Letters(ctx context.Context, match func(*schemas.Record) bool) (n uint64, err error) {
	err = f.call(func() error { n, err = f.Streams.Letters(ctx, match); return err })
	return n, err
}

func (f *faulty) Insights(ctx context.Context, match func(*schemas.Record) bool) (n uint64, err error) {
	err = f.call(func() error { n, err = f.Streams.Insights(ctx, match); return err })
	return n, err
}

func (f *faulty) Done(ctx context.Context, r *schemas.EraseRequest) error {
	return f.call(func() error { return f.Streams.Done(ctx, r) })
}

func (f *faulty) Blank(ctx context.Context, rows []schemas.Trace) error {
	return f.call(func() error { return f.Table.Blank(ctx, rows) })
}

// Swept is not waited for: what it waits for is looked for on the disk by the story of the command.
func (f *faulty) Swept(context.Context, ...string) error { return f.call(func() error { return nil }) }

func (f *faulty) Publish(ctx context.Context, e *schemas.Event) error {
	return f.call(func() error { return f.publish(ctx, e) })
}

// Wherever an erasure is cut off, before a step or after it, the next one ends it.
func TestErasureGoesOnWhereverItWasCutOff(t *testing.T) {
	s := openStores(t)
	streams, err := stream.OpenErasure(s.ctx, s.js, s.nc, 1)
	s.must(err)
	erased, others := 0, 0
	cut := func(at int, after bool) (calls int) {
		customer := fmt.Sprintf("customer-%d-%v", at, after)
		for i := range 3 {
			s.say(customer, fmt.Sprintf("%s/%d", customer, i), schemas.FeedbackReceived, "Late, I will buy elsewhere.", "")
			s.say("other", fmt.Sprintf("other/%s/%d", customer, i), schemas.FeedbackReceived, "Fine.", "")
		}
		s.say(customer, customer+"/0", schemas.FeedbackReceived, "Late, I will buy elsewhere.", "")
		s.must(s.publish(s.ctx, &schemas.Event{ID: customer + "/bad", Source: "/t", Type: schemas.FeedbackReceived.Type(), Kind: schemas.FeedbackReceived,
			Time: time.Now(), Tenant: "acme", Data: schemas.Data{Channel: "review", CustomerID: customer}})) // without words
		s.say(customer, customer+"/erase", schemas.CustomerEraseRequested, "", "")
		s.settled()
		f := &faulty{Streams: streams, Table: s.store, publish: s.publish, at: at, after: after}
		e := erase.New(erase.Config{Streams: f, Journal: stream.OpenJournal(s.js, s.nc, schemas.AlertJournal), Table: f, Keys: s.keyer.Keys, Now: time.Now, Publish: f.Publish, Age: time.Nanosecond})
		_, _, err := e.Step(s.ctx)
		if (at > 0) != errors.Is(err, errCut) {
			t.Fatalf("cut off at call %d: %v", at, err)
		}
		f.at = 0
		done, waiting, err := e.Step(s.ctx)
		s.must(err)
		// Cut off after the request itself was removed, there is nothing left to do.
		if waiting > 0 || at > 0 && len(done) != 1 && !(after && len(done) == 0) {
			t.Errorf("cut off at call %d: %d done, %d waiting", at, len(done), waiting)
		}
		erased, others = erased+4, others+3
		return f.calls
	}
	calls := cut(0, false)
	if calls < 7 {
		t.Fatalf("an erasure makes %d calls", calls)
	}
	cut(1, false)
	for at := 1; at <= calls; at++ { // after one step is before the next
		cut(at, true)
	}
	runs := 2 + calls
	want := fmt.Sprintf("%d %d %d", erased, others, runs) // one receipt each
	if got := s.ask("SELECT countIf(kind = 'erased'), countIf(kind = 'feedback.received'), countIf(kind = 'customer.erase.done') FROM feedback"); got != want {
		t.Errorf("rows erased, of others, receipts: %s, want %s", got, want)
	}
	if got := s.ask("SELECT countIf(customer_key != '' OR text != '' OR source_event_id != ''), count() FROM feedback WHERE kind = 'erased'"); got != fmt.Sprint("0 ", erased) {
		t.Errorf("erased rows that say something: %s", got)
	}
	letters, err := s.log.Dead(s.ctx)
	s.must(err)
	if len(letters) != runs {
		t.Errorf("the account has %d dead letters, %d were made", len(letters), runs)
	}
	left := uint64(0)
	n, err := streams.Letters(s.ctx, func(r *schemas.Record) bool { left++; return false })
	s.must(err)
	if n != 0 || left != 0 {
		t.Errorf("%d dead letters have their content still", left)
	}
	s.audited()
	t.Attr("cut_off", fmt.Sprintf("%d places", calls+1))

	// Only the ledger is lost: it is rebuilt, and what was erased stays so.
	s.stop()
	for _, subject := range []string{schemas.PlanSubject(0), schemas.CheckpointSubject(0)} {
		st, err := s.js.Stream(s.ctx, schemas.OutcomesStream)
		s.must(err)
		s.must(st.Purge(s.ctx, jetstream.WithPurgeSubject(subject)))
	}
	s.work()
	s.say("other", "afterwards", schemas.FeedbackReceived, "Fine.", "")
	if got := s.ask("SELECT countIf(kind = 'erased'), countIf(kind = 'feedback.received'), countIf(kind = 'customer.erase.done') FROM feedback"); got != fmt.Sprintf("%d %d %d", erased, others+1, runs) {
		t.Errorf("after the ledger was rebuilt: %s", got)
	}
	s.audited()
}

// What cannot be read is erased however it spells the customer, and what names others stays.
func TestUnreadableMessagesAreErasedHoweverTheySpellTheName(t *testing.T) {
	s := openStores(t)
	streams, err := stream.OpenErasure(s.ctx, s.js, s.nc, 1)
	s.must(err)
	const customer = "jürgen/\"v\"😀"
	send := func(body string) {
		t.Helper()
		s.must(s.publisher.Publish(s.ctx, []schemas.Message{{Subject: "feedback.0.acme.review.feedback.received", Data: []byte(body), Header: map[string]string{schemas.HeaderContentType: schemas.ContentTypeEvent}}}))
	}
	others := []string{`{"customer_id":"jurgen","x":"\u006`, `broken \`, `{"customer_id":"j\ud83dürgen`, `{"customer_id":"j\u00e4rgen/\"v\"😀`}
	for _, body := range append(others,
		`{broken "jürgen/\"v\"😀"`,
		`{broken "j\u00fcrgen/\"v\"😀"`,
		`{broken "j\u00FCrgen\/\"v\"😀"`,
		`{broken "jürgen/\u0022\u0076\"\ud83d\ude00"`,
		`{broken "\ud83d\u006a\u00fcrgen/\"v\"\uD83D\uDE00 \`,
		`{broken "{\"customer_id\":\"j\\u00fcrgen\\/\\\"v\\\"😀\""`,
	) {
		send(body)
	}
	s.say(customer, "erase", schemas.CustomerEraseRequested, "", "")
	s.settled()
	e := erase.New(erase.Config{Streams: streams, Journal: stream.OpenJournal(s.js, s.nc, schemas.AlertJournal), Table: s.store, Keys: s.keyer.Keys, Now: time.Now, Publish: s.publish, Age: time.Nanosecond})
	done, _, err := e.Step(s.ctx)
	s.must(err)
	if len(done) != 1 || done[0].Messages != 6 || done[0].Letters != 6 {
		t.Errorf("the receipt says %+v, want 6 messages and letters", done)
	}
	var left []string
	_, err = streams.Letters(s.ctx, func(r *schemas.Record) bool { left = append(left, string(r.Data)); return false })
	s.must(err)
	for _, body := range others {
		if !slices.Contains(left, body) {
			t.Errorf("%s is gone", body)
		}
	}
	s.audited()
}

// Changes and deletions take effect, in whatever order they come in, and the projection agrees with the rows.
func TestChangedFeedbackTakesThePlaceOfWhatWasSaid(t *testing.T) {
	s := openStores(t)
	r := revise.New(s.store)
	step := func() {
		t.Helper()
		s.settled()
		_, err := r.Step(s.ctx, time.Now())
		s.must(err)
	}
	texts := func() string {
		return s.ask("SELECT arrayStringConcat(arraySort(groupArray(text)), ' | ') FROM feedback_current")
	}
	figures := func() string {
		return s.ask("SELECT sum(events), sum(negative), sum(positive) FROM satisfaction_hourly")
	}
	check := func(when, wantTexts, wantFigures string) {
		t.Helper()
		step()
		if got := texts(); got != wantTexts {
			t.Errorf("%s: %s counts, want %s", when, got, wantTexts)
		}
		if got := figures(); got != wantFigures {
			t.Errorf("%s: events, negative, positive: %s, want %s", when, got, wantFigures)
		}
	}
	s.say("ann", "1", schemas.ReviewPublished, "Terrible quality, awful.", "")
	s.say("bob", "2", schemas.ReviewPublished, "Great quality, wonderful.", "")
	check("before", "Great quality, wonderful. | Terrible quality, awful.", "2 1 1")
	s.say("ann", "1@a", schemas.FeedbackUpdated, "They repaired it, great service.", "/t#1")
	check("a change", "Great quality, wonderful. | They repaired it, great service.", "2 0 2")
	s.say("ann", "1@b", schemas.FeedbackUpdated, "Broken again, terrible quality.", "/t#1")
	check("a second change", "Broken again, terrible quality. | Great quality, wonderful.", "2 1 1")
	s.say("bob", "2@gone", schemas.FeedbackDeleted, "", "/t#2")
	check("a deletion", "Broken again, terrible quality.", "1 1 0")
	if got := s.ask("SELECT countIf(text != '') FROM feedback WHERE event_id IN (SELECT event_id FROM feedback WHERE kind = 'erased')"); got != "0" {
		t.Errorf("%s deleted rows keep their words", got)
	}
	s.say("cat", "3@a", schemas.FeedbackUpdated, "Wonderful.", "/t#3")
	check("a change before what it changes", "Broken again, terrible quality. | Wonderful.", "2 1 1")
	s.say("cat", "3", schemas.ReviewPublished, "Awful.", "")
	check("what was changed comes late", "Broken again, terrible quality. | Wonderful.", "2 1 1")
	s.say("cat", "3@a", schemas.FeedbackUpdated, "Wonderful.", "/t#3")
	s.say("dan", "nobody@a", schemas.FeedbackUpdated, "Wonderful.", "no reference")
	check("a repetition, and a change of nothing", "Broken again, terrible quality. | Wonderful. | Wonderful.", "3 1 2")
	r = revise.New(s.store) // another process
	check("again", "Broken again, terrible quality. | Wonderful. | Wonderful.", "3 1 2")
	if got := s.ask("SELECT count() FROM feedback"); got != "8" {
		t.Errorf("%s rows are stored", got)
	}
	s.audited()
}

// A change or deletion by another source or on another channel has no effect, whether it comes before or after what it
// names. Where that never comes, a deletion takes the changes along.
func TestOnlyWhoSaidItChangesWhatWasSaid(t *testing.T) {
	s := openStores(t)
	r := revise.New(s.store)
	say := func(source, channel, id string, kind schemas.Kind, text, ref string) {
		t.Helper()
		s.must(s.publish(s.ctx, &schemas.Event{ID: id, Source: source, Type: kind.Type(), Kind: kind, Time: time.Now().UTC().Truncate(time.Millisecond), Tenant: "acme",
			Data: schemas.Data{Channel: channel, Text: text, EventRef: ref}}))
	}
	check := func(when, want string, foreign int) {
		t.Helper()
		s.settled()
		_, err := r.Step(s.ctx, time.Now())
		s.must(err)
		got := s.ask("SELECT arrayStringConcat(arraySort(groupArray(text)), ' | ') FROM feedback_current")
		if got != want || r.Foreign() != foreign {
			t.Errorf("%s: %s counts, want %s; %d are foreign, want %d", when, got, want, r.Foreign(), foreign)
		}
	}
	say("/desk", "survey", "2@x", schemas.FeedbackDeleted, "", "/desk#2")
	check("a deletion on another channel, before what it names", "", 0)
	say("/desk", "support", "1", schemas.FeedbackReceived, "One.", "")
	say("/desk", "support", "2", schemas.FeedbackReceived, "Two.", "")
	check("what was said", "One. | Two.", 1)
	say("/desk", "survey", "1@x", schemas.FeedbackDeleted, "", "/desk#1")
	say("/other", "support", "1@y", schemas.FeedbackDeleted, "", "/desk#1")
	say("/desk", "survey", "1@z", schemas.FeedbackUpdated, "Not one.", "/desk#1")
	check("deletions and a change from elsewhere", "Not one. | One. | Two.", 4)
	say("/desk", "support", "1@a", schemas.FeedbackUpdated, "One and a half.", "/desk#1")
	say("/desk", "support", "2@a", schemas.FeedbackDeleted, "", "/desk#2")
	check("its own", "Not one. | One and a half.", 4)
	say("/desk", "support", "3@a", schemas.FeedbackUpdated, "Three.", "/desk#3")
	say("/desk", "support", "3@b", schemas.FeedbackDeleted, "", "/desk#3")
	check("a deletion of what never came", "Not one. | One and a half.", 4)
	s.audited()
}
