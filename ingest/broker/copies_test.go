package broker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

// A disk took the server's word that a message is copied, and not the message: after a restart for illness it is copied again, and
// what was removed from a healthy copy does not come back.
func TestACopyThatTheDiskRefusedIsMadeAgain(t *testing.T) {
	dir := t.TempDir()
	b, err := Start(context.Background(), Config{Dir: dir, Addr: "127.0.0.1:0", Shards: 1, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx := context.Background()
	copied := func() uint64 {
		t.Helper()
		nc, err := nats.Connect(b.URL())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: "FROM", Subjects: []string{"from"}}); err != nil {
			t.Fatal(err)
		}
		to, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: "TO", Sources: []*jetstream.StreamSource{{Name: "FROM"}}})
		if err != nil {
			t.Fatal(err)
		}
		ack, err := js.Publish(ctx, "from", []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		var state jetstream.StreamState
		eventually(t, "the newest message is copied", func() bool {
			info, err := to.Info(ctx)
			if err != nil {
				return false
			}
			state = info.State
			last, err := to.GetMsg(ctx, state.LastSeq)
			return err == nil && strings.HasPrefix(last.Header.Get("Nats-Stream-Source"), fmt.Sprintf("FROM %d ", ack.Sequence))
		})
		return state.Msgs
	}
	if n := copied(); n != 1 {
		t.Fatalf("%d messages are copied, want 1", n)
	}
	stop := func() {
		b.mu.Lock()
		srv := b.srv
		b.srv = nil
		b.mu.Unlock()
		b.end(srv, false)
	}
	run := func() {
		srv, err := b.run(ctx)
		if err != nil {
			t.Fatal(err)
		}
		b.mu.Lock()
		b.srv = srv
		b.mu.Unlock()
	}
	stop()
	messages, before := filepath.Join(dir, "jetstream", "$G", "streams", "TO", "msgs"), filepath.Join(t.TempDir(), "msgs")
	if err := os.CopyFS(before, os.DirFS(messages)); err != nil {
		t.Fatal(err)
	}
	run()
	if n := copied(); n != 2 {
		t.Fatalf("%d messages are copied, want 2", n)
	}
	for _, ill := range []bool{false, true} { // what the disk has of the copy is as before, and the word of how far it came is newer
		stop()
		if err := os.RemoveAll(messages); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(messages, os.DirFS(before)); err != nil {
			t.Fatal(err)
		}
		run()
		want := uint64(2) // the gap stays: the newest is behind it
		if ill {
			b.restart(ctx)
			want = 4
		}
		if n := copied(); n != want {
			t.Errorf("ill %v: %d messages are copied, want %d", ill, n, want)
		}
	}
}
