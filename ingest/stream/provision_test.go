package stream_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/schemas"
)

// configs returns the configuration of every stream. It asks again when there is no answer: a request that is sent while
// the broker restarts is lost.
func (w *world) configs() map[string]jetstream.StreamConfig {
	w.t.Helper()
	for {
		out := map[string]jetstream.StreamConfig{}
		try, cancel := context.WithTimeout(w.ctx, 2*time.Second)
		l := w.js.ListStreams(try)
		for info := range l.Info() {
			out[info.Config.Name] = info.Config
		}
		cancel()
		err := l.Err()
		if err == nil {
			return out
		}
		if w.ctx.Err() != nil {
			w.t.Fatal(err)
		}
	}
}

func TestProvisionMakesEveryStreamOnce(t *testing.T) {
	w := newWorld(t)
	top := w.provision(3)
	want := []string{"FEEDBACK_0", "FEEDBACK_1", "FEEDBACK_2", "OUTCOMES", "INSIGHTS", "DEADLETTERS", "DISPOSITIONS"}
	if !slices.Equal(top.Created, want) || len(top.Changed) != 0 {
		t.Errorf("created %v, changed %v", top.Created, top.Changed)
	}
	slices.Sort(top.Epochs)
	if len(top.Epochs) != 3 || len(slices.Compact(slices.Clone(top.Epochs))) != 3 || len(top.Epochs[0]) < 20 {
		t.Errorf("epochs %v are not three different random names", top.Epochs)
	}
	before := w.configs()
	again := w.provision(3)
	slices.Sort(again.Epochs)
	if len(again.Created)+len(again.Changed) != 0 || !slices.Equal(again.Epochs, top.Epochs) {
		t.Errorf("provisioning again: %+v", again)
	}
	w.restart()
	for !w.nc.IsConnected() {
		time.Sleep(5 * time.Millisecond)
	}
	if diff := cmp.Diff(before, w.configs()); diff != "" {
		t.Error(diff)
	}
}

func TestProvisionMakesWhatAFormerRunLeftOut(t *testing.T) {
	w := newWorld(t)
	epochs := w.provision(2).Epochs
	for _, name := range []string{"FEEDBACK_1", "DEADLETTERS"} {
		if err := w.js.DeleteStream(w.ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	top := w.provision(2)
	if !slices.Equal(top.Created, []string{"FEEDBACK_1", "DEADLETTERS"}) {
		t.Errorf("created %v", top.Created)
	}
	if top.Epochs[0] != epochs[0] || top.Epochs[1] == epochs[1] {
		t.Errorf("epochs %v after %v: the one that was made anew must differ", top.Epochs, epochs)
	}
}

func TestProvisioningAtTheSameTime(t *testing.T) {
	w := newWorld(t)
	type result struct {
		top *stream.Topology
		err error
	}
	const n = 6
	results := make(chan result, n)
	for range n {
		go func() {
			top, err := stream.Provision(w.ctx, w.js, stream.ProvisionConfig{Shards: 2})
			results <- result{top, err}
		}()
	}
	var epochs []string
	created := 0
	for range n {
		r := <-results
		if r.err != nil {
			t.Fatal(r.err)
		}
		if epochs == nil {
			epochs = r.top.Epochs
		}
		if !slices.Equal(epochs, r.top.Epochs) {
			t.Errorf("epochs %v and %v", epochs, r.top.Epochs)
		}
		created += len(r.top.Created)
	}
	if created < 5 {
		t.Errorf("%d streams were created in all, wanted 5", created)
	}
}

func TestProvisionRaisesLimits(t *testing.T) {
	w := newWorld(t)
	if _, err := stream.Provision(w.ctx, w.js, stream.ProvisionConfig{Shards: 1, FeedbackAge: time.Hour, FeedbackBytes: 1 << 30}); err != nil {
		t.Fatal(err)
	}
	top, err := stream.Provision(w.ctx, w.js, stream.ProvisionConfig{Shards: 1, FeedbackAge: 2 * time.Hour, FeedbackBytes: 2 << 30})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(top.Changed, []string{"FEEDBACK_0"}) {
		t.Errorf("changed %v", top.Changed)
	}
	c := w.configs()["FEEDBACK_0"]
	if c.MaxAge != 2*time.Hour || c.MaxBytes != 2<<30 || c.Metadata[schemas.EpochKey] != top.Epochs[0] || !c.AllowAtomicPublish {
		t.Errorf("%+v", c)
	}
}

func TestProvisionRefusesWhatItDoesNotUnderstand(t *testing.T) {
	change := func(stream string, f func(*jetstream.StreamConfig)) func(*world) {
		return func(w *world) {
			w.provision(2)
			c := w.configs()[stream]
			f(&c)
			if _, err := w.js.UpdateStream(w.ctx, c); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	foreign := func(c jetstream.StreamConfig) func(*world) {
		return func(w *world) {
			if _, err := w.js.CreateStream(w.ctx, c); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	meta := map[string]string{stream.SchemaKey: "1", schemas.EpochKey: "abc", stream.ShardsKey: "2"}
	for _, c := range []struct {
		claim string
		world func(*world)
		cfg   stream.ProvisionConfig
		names []string // what the error must name
	}{
		{"a stream of somebody else", foreign(jetstream.StreamConfig{Name: "FEEDBACK_0", Subjects: []string{"feedback.0.>", "feedback.in.>"}}),
			stream.ProvisionConfig{}, []string{"FEEDBACK_0", stream.SchemaKey, schemas.EpochKey}},
		{"a newer layout", change("OUTCOMES", func(c *jetstream.StreamConfig) { c.Metadata[stream.SchemaKey] = "2" }),
			stream.ProvisionConfig{}, []string{"OUTCOMES", stream.SchemaKey, "found 2", "wanted 1", "newer"}},
		{"other subjects", change("FEEDBACK_1", func(c *jetstream.StreamConfig) { c.Subjects = []string{"feedback.1.x"} }),
			stream.ProvisionConfig{}, []string{"FEEDBACK_1", "subjects", "[feedback.1.x]", "[feedback.1.>]"}},
		{"another retention", foreign(jetstream.StreamConfig{Name: "FEEDBACK_0", Retention: jetstream.WorkQueuePolicy, Metadata: meta, Subjects: []string{"feedback.0.>", "feedback.in.>"}}),
			stream.ProvisionConfig{}, []string{"FEEDBACK_0", "retention", "WorkQueue", "Limits", "atomic batch publish"}},
		{"memory storage", foreign(jetstream.StreamConfig{Name: "FEEDBACK_1", Storage: jetstream.MemoryStorage, Metadata: meta, Subjects: []string{"feedback.1.>"}}),
			stream.ProvisionConfig{}, []string{"FEEDBACK_1", "storage", "Memory", "File"}},
		{"asynchronous persistence", foreign(jetstream.StreamConfig{Name: "FEEDBACK_1", PersistMode: jetstream.AsyncPersistMode, Metadata: meta, Subjects: []string{"feedback.1.>"}}),
			stream.ProvisionConfig{}, []string{"FEEDBACK_1", "persist mode", "found Async, wanted Default"}},
		{"a message limit", change("FEEDBACK_0", func(c *jetstream.StreamConfig) { c.MaxMsgs = 10 }),
			stream.ProvisionConfig{}, []string{"FEEDBACK_0", "messages at most", "found 10"}},
		{"discarding the old", change("FEEDBACK_0", func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }),
			stream.ProvisionConfig{}, []string{"FEEDBACK_0", "discard policy", "DiscardOld", "DiscardNew"}},
		{"other sources", change("INSIGHTS", func(c *jetstream.StreamConfig) { c.Sources[0].FilterSubject = "insight.acme.>" }),
			stream.ProvisionConfig{}, []string{"INSIGHTS", "sources", "insight.acme.>"}},
		{"no acknowledgements", change("FEEDBACK_0", func(c *jetstream.StreamConfig) { c.NoAck = true; c.AllowAtomicPublish = false }),
			stream.ProvisionConfig{}, []string{"FEEDBACK_0", "no acknowledgements", "atomic batch publish"}},
		{"a longer age than is configured", func(w *world) { w.provision(2) },
			stream.ProvisionConfig{FeedbackAge: time.Hour}, []string{"FEEDBACK_0", "FEEDBACK_1", "max age", "found 720h0m0s", "wanted 1h0m0s"}},
		{"more bytes than are configured", func(w *world) { w.provision(2) },
			stream.ProvisionConfig{FeedbackBytes: 1 << 30}, []string{"FEEDBACK_0", "max bytes"}},
		{"fewer shards than there are", func(w *world) { w.provision(3) },
			stream.ProvisionConfig{}, []string{"FEEDBACK_", "EARSHOT_SHARDS"}},
		{"more shards than there are", func(w *world) { w.provision(1) },
			stream.ProvisionConfig{}, []string{"FEEDBACK_0", stream.ShardsKey, "found 1", "wanted 2", "EARSHOT_SHARDS"}},
		{"replicas on a lone server", func(w *world) {},
			stream.ProvisionConfig{Replicas: 3}, []string{"FEEDBACK_0", "replicas"}},
		{"impossible settings", func(w *world) {},
			stream.ProvisionConfig{Shards: -1, Replicas: 9, FeedbackAge: time.Second, FeedbackBytes: -5}, []string{"shards -1", "replicas 9", "age of feedback 1s", "bytes of a shard -5"}},
	} {
		t.Run(c.claim, func(t *testing.T) {
			w := newWorld(t)
			c.world(w)
			before := w.configs()
			if c.cfg.Shards == 0 {
				c.cfg.Shards = 2
			}
			_, err := stream.Provision(w.ctx, w.js, c.cfg)
			if err == nil {
				t.Fatal("it was accepted")
			}
			for _, name := range c.names {
				if !strings.Contains(err.Error(), name) {
					t.Errorf("the error does not say %q:\n%v", name, err)
				}
			}
			if diff := cmp.Diff(before, w.configs()); diff != "" {
				t.Errorf("something was changed nevertheless: %s", diff)
			}
		})
	}
}

func TestAStreamStoresWhatTheContractAllowsAndNoMore(t *testing.T) {
	w := newWorld(t)
	w.provision(1)
	for _, c := range []struct {
		claim, subject string
		size           int
		ok             bool
	}{
		{"the largest event", "feedback.0.acme.review.feedback.received", schemas.MaxEventBytes, true},
		{"an unmapped subject is kept in shard 0", "feedback.in.acme.review", 10, true},
		{"far too large", "feedback.0.acme.review.feedback.received", stream.MaxMessageBytes + 1, false},
		{"a shard that is not there", "feedback.1.acme.review.feedback.received", 10, false},
	} {
		if _, err := w.js.Publish(w.ctx, c.subject, make([]byte, c.size)); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.claim, err)
		}
	}
}
