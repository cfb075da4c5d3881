package broker

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/earshot/earshot/schemas"
)

// While the disk is down to its reserve, events are refused whoever sends them and under whatever subject, and the ledger is
// written; a restart does not change that, and room does.
func TestEventsAreRefusedBeforeTheLedgerIs(t *testing.T) {
	var free atomic.Int64
	free.Store(1 << 30)
	b, err := start(context.Background(), Config{Dir: t.TempDir(), Addr: "127.0.0.1:0", Shards: 2, Logger: zerolog.Nop()},
		health, func(string) (int64, int64, error) { return free.Load(), 1 << 40, nil })
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	nc, err := nats.Connect(b.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for shard := range 2 {
		if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: schemas.FeedbackStream(shard), Subjects: schemas.FeedbackSubjects(shard)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "LEDGER", Subjects: []string{"plan.*"}}); err != nil {
		t.Fatal(err)
	}
	publish := func(subject string) error {
		one, cancel := context.WithTimeout(ctx, 2*time.Second) // what goes out as the server goes down is never answered
		defer cancel()
		_, err := js.Publish(one, subject, []byte("x"), jetstream.WithRetryAttempts(0))
		return err
	}
	events := []string{"feedback.in.acme.review.feedback.received.k1", "feedback.in.acme.review.received.k2", "feedback.in.acme", "feedback.0.acme.review.feedback.received", "feedback.1.acme.review.feedback.received"}
	takes := func(what string, want bool) {
		t.Helper()
		for _, subject := range events {
			if err := publish(subject); (err == nil) != want || err != nil && !errors.Is(err, jetstream.ErrNoStreamResponse) {
				t.Errorf("%s: %s: %v", what, subject, err)
			}
		}
		if err := publish("plan.0"); err != nil {
			t.Errorf("%s: the ledger: %v", what, err)
		}
		if err := b.Healthy(); (err == nil) != want || err != nil && !strings.Contains(err.Error(), "kept for what was accepted") {
			t.Errorf("%s: it says %v", what, err)
		}
	}
	takes("with room", true)
	free.Store(DefaultMinFree - 1)
	eventually(t, "refusal", func() bool { return b.Room() != nil })
	takes("without room", false)
	b.restart(ctx)
	eventually(t, "the client is back", func() bool {
		if b.server() == nil { // its port was somebody else's for a moment
			b.restart(ctx)
		}
		return nc.IsConnected() && publish("plan.0") == nil
	})
	takes("restarted without room", false)
	free.Store(DefaultMinFree + 1)
	time.Sleep(3 * roomEvery)
	takes("with hardly any room, so as not to go to and fro", false)
	free.Store(2 * DefaultMinFree)
	eventually(t, "room", func() bool { return b.Room() == nil })
	takes("with room again", true)
}

func TestTheReserveFitsTheDisk(t *testing.T) {
	b := &Broker{cfg: Config{}.withDefaults()}
	for size, want := range map[int64]int64{1 << 40: DefaultMinFree, 2 << 30: 256 << 20, 240 << 20: 30 << 20} {
		if got := b.reserve(size); got != want {
			t.Errorf("of %d bytes %d are kept, want %d", size, got, want)
		}
	}
}

// The server's own limit would be three quarters of what was free when it started, for log and ledger together.
func TestNothingButTheDiskBoundsTheStreams(t *testing.T) {
	b, err := Start(context.Background(), Config{Dir: t.TempDir(), Addr: "127.0.0.1:0", Shards: 1, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	_, size, err := diskRoom(b.cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if most := b.server().JetStreamConfig().MaxStore; most < size {
		t.Errorf("the streams may take %d bytes of a disk of %d", most, size)
	}
}
