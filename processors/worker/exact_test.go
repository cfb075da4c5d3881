package worker_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/processors/worker"
	"github.com/earshot/earshot/schemas"
)

// purge takes the newest entry of a subject of OUTCOMES away, as an operator's mistake or a stream restored without it
// would.
func (s *stores) purge(subject string) {
	s.t.Helper()
	st, err := s.js.Stream(s.ctx, schemas.OutcomesStream)
	s.must(err)
	s.must(st.Purge(s.ctx, jetstream.WithPurgeSubject(subject)))
}

// letters counts the dead letters of a reason.
func (s *stores) letters(reason schemas.Reason) uint64 {
	s.t.Helper()
	st, err := s.js.Stream(s.ctx, schemas.OutcomesStream)
	s.must(err)
	subject := schemas.DeadSubject(0, reason)
	info, err := st.Info(s.ctx, jetstream.WithSubjectFilter(subject))
	s.must(err)
	return info.State.Subjects[subject]
}

// insights counts what was published for people.
func (s *stores) insights() (n uint64) {
	s.t.Helper()
	st, err := s.js.Stream(s.ctx, schemas.OutcomesStream)
	s.must(err)
	info, err := st.Info(s.ctx, jetstream.WithSubjectFilter(schemas.InsightSubjects))
	s.must(err)
	for _, k := range info.State.Subjects {
		n += k
	}
	return n
}

func TestExactALostLedgerIsRebuilt(t *testing.T) {
	for _, c := range []struct {
		claim string
		lost  []string
	}{
		{"all of it", []string{schemas.PlanSubject(0), schemas.CheckpointSubject(0)}},
		{"the checkpoint", []string{schemas.CheckpointSubject(0)}},
		{"the plan", []string{schemas.PlanSubject(0)}},
	} {
		t.Run(c.claim, func(t *testing.T) {
			s := openStores(t)
			s.exec("ALTER TABLE feedback ADD CONSTRAINT wholesome CHECK product_id != 'poison'")
			small := func(c *worker.Config) { c.BatchRows = 70 }
			s.publish("", names("a", 300)...)
			s.publish("", names("a", 40)...)
			s.publish("poison", "p")
			stop := s.start(small)
			s.want(300, 40, 1)
			s.must(stop())
			raised := s.insights()
			for _, subject := range c.lost {
				s.purge(subject)
			}
			s.publish("", names("b", 100)...)
			s.publish("", "a3", "b3")
			s.start(small)
			s.want(400, 42, 1)
			if got := s.insights(); got != raised+100 {
				t.Errorf("%d insights, want %d and one for each of 100 new events", got, raised)
			}
			t.Attr("exact", fmt.Sprintf("ledger lost: %s | 1 | 400 | 0 | 0", c.claim))
		})
	}
}

// A power cut may take back parts whose inserts were answered. Here an operator plays the power cut.
func TestExactRowsThatAPowerCutTookComeBack(t *testing.T) {
	for _, c := range []struct{ claim, where string }{
		{"one part", "seq > 200 AND toYYYYMM(occurred_at) = 202610"},
		{"everything", "1"},
		{"some rows of a part", "seq % 7 = 0"},
	} {
		t.Run(c.claim, func(t *testing.T) {
			s := openStores(t)
			s.publish("", names("a", 300)...)
			stop := s.start(nil)
			s.want(300, 0, 0)
			s.must(stop())
			s.exec("DELETE FROM feedback WHERE " + c.where)
			s.publish("", names("a", 300)...) // known, although the table has forgotten some
			s.publish("", names("b", 10)...)
			s.start(nil)
			s.want(310, 300, 0)
			if got := s.insights(); got != 310 {
				t.Errorf("%d insights, want one for each of 310 events", got)
			}
			t.Attr("exact", fmt.Sprintf("power cut takes back %s | 1 | 310 | 0 | 0", c.claim))
		})
	}
}

// What is lost beyond the newest commits is brought in again by command, while a worker is at work.
func TestExactRepairBringsBackOldRowsWhileAWorkerRuns(t *testing.T) {
	s := openStores(t)
	s.publish("", names("a", 500)...)
	s.publish("", names("a", 20)...)
	s.start(func(c *worker.Config) { c.Takeover, c.BatchRows = 30*time.Second, 90 }) // it comes when it is let, not because the machine is slow
	s.want(500, 20, 0)
	s.exec("DELETE FROM feedback WHERE seq BETWEEN 100 AND 250")
	log, err := stream.OpenShard(s.ctx, s.js, s.nc, 0)
	s.must(err)
	defer log.Close()
	w := worker.New(worker.Config{Log: log, Store: s.store, Classifier: s.classifier, Keyer: s.keyer, Logger: zerolog.Nop(), BatchRows: 64})
	epoch := log.Epoch()
	whole := []schemas.Range{{Epoch: epoch, Generation: 1, Lo: 90, Hi: 300}}
	s.publish("", names("b", 50)...)
	n, err := w.Repair(s.ctx, whole, nil)
	s.must(err)
	if n != 151 {
		t.Errorf("repair says %d rows, want 151", n)
	}
	s.want(550, 20, 0)
	if n, err := w.Repair(s.ctx, whole, nil); err != nil || n != 0 {
		t.Errorf("a second repair brought in %d rows (%v), want none", n, err)
	}
	if _, err := w.Repair(s.ctx, []schemas.Range{{Epoch: epoch, Generation: 1, Lo: 1, Hi: 10_000}}, nil); err == nil {
		t.Error("a repair beyond the checkpoint was not refused")
	}
	s.publish("", "c", "a7")
	s.want(551, 21, 0)
	t.Attr("exact", "old rows deleted, repaired by command | 1 | 551 | 0 | 0")
}

// odd is a classifier that panics, hangs or contradicts the real one, where a text says so.
type odd struct {
	worker.Classifier
	never chan struct{}
	model string // replaces the model's name; empty: it stays
}

func (o *odd) Classify(in classify.Input) schemas.Labels {
	switch {
	case strings.Contains(in.Text, "panic now"):
		panic("as the text demands")
	case strings.Contains(in.Text, "hang now"):
		<-o.never
	}
	l := o.Classifier.Classify(in)
	if o.model != "" {
		l.Model = o.model
	}
	return l
}

// One event whose classification panics or never ends becomes a dead letter with its reason; its neighbours are stored in
// their order, and the shard goes on.
func TestExactPoisonTakesNoNeighbourAlong(t *testing.T) {
	s := openStores(t)
	o := &odd{Classifier: s.classifier, never: make(chan struct{})}
	t.Cleanup(func() { close(o.never) })
	const every = 1000
	msgs := make([]schemas.Message, 4000)
	for i := range msgs {
		text := "The parcel arrived crushed."
		switch i % every {
		case 17:
			text = "panic now"
		case 423:
			text = "hang now"
		}
		msgs[i] = schemas.Message{Subject: "feedback.0.t.support.feedback.received",
			Header: map[string]string{schemas.HeaderContentType: schemas.ContentTypeEvent},
			Data:   fmt.Appendf(nil, `{"specversion":"1.0","id":"%d","source":"/p","type":"feedback.received.v1","time":"2026-11-11T08:00:00Z","tenantid":"t","data":{"channel":"support","value_text":%q}}`, i, text)}
	}
	s.must(s.publisher.Publish(s.ctx, msgs))
	s.published += uint64(len(msgs))
	s.start(func(c *worker.Config) { c.Classifier, c.StepBudget = o, 500*time.Millisecond })
	s.want(4000-8, 0, 8)
	for _, reason := range []schemas.Reason{schemas.ReasonPanic, schemas.ReasonBudget} {
		if n := s.letters(reason); n != 4 {
			t.Errorf("%d dead letters of reason %s, want 4", n, reason)
		}
	}
	var sorted bool
	s.must(s.store.Value(s.ctx, "SELECT groupArray(toUInt64(source_event_id) + 1) = groupArray(seq) FROM (SELECT * FROM feedback ORDER BY seq)", &sorted))
	if !sorted {
		t.Error("the neighbours are not stored in the order they came")
	}
	t.Attr("exact", "4 events that panic and 4 that never end among 4,000 | 1 | 3992 | 0 | 0")
}

// half lets the first insert through and then fails for ever, as a store that dies in the midst of a plan.
type half struct {
	worker.Store
	inserts int
	died    context.CancelFunc
}

func (h *half) Insert(ctx context.Context, rows []schemas.Row, token string) error {
	if h.inserts++; h.inserts > 1 {
		h.died()
		<-ctx.Done()
		return ctx.Err()
	}
	return h.Store.Insert(ctx, rows, token)
}

// A plan of two months is cut off between the two and taken up by a version with another classifier: what is stored stays,
// the rest is stored as the new version sees it, and the old version is never needed again.
func TestExactAnUpgradedClassifierNeverNeedsTheOldOne(t *testing.T) {
	s := openStores(t)
	s.publish("", names("a", 200)...)
	ctx, died := context.WithCancel(s.ctx)
	stop := s.start(func(c *worker.Config) {
		c.Store, c.Linger = &half{Store: c.Store, died: died}, time.Second
		c.Classifier = &odd{Classifier: s.classifier, model: "old"}
	})
	<-ctx.Done()
	s.must(stop())
	s.start(func(c *worker.Config) { c.Classifier = &odd{Classifier: s.classifier, model: "new"} })
	s.want(200, 0, 0)
	for model, want := range map[string]uint64{"old": 100, "new": 100} {
		var n uint64
		s.must(s.store.Value(s.ctx, "SELECT count() FROM feedback WHERE model = '"+model+"'", &n))
		if n != want {
			t.Errorf("%d rows by the %s classifier, want %d", n, model, want)
		}
	}
	t.Attr("exact", "classifier replaced in the midst of a plan | 1 | 200 | 0 | 0")
}
