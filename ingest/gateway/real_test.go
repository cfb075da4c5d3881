package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/earshot/earshot/ingest/broker"
	"github.com/earshot/earshot/ingest/gateway"
	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/schemas"
)

// TestWhatIsAnswered202IsInTheLog runs the gateway on the real broker: every event that was answered for is in the shard
// of its customer and reads as what was sent; with the broker gone nothing is answered for.
func TestWhatIsAnswered202IsInTheLog(t *testing.T) {
	const shards, clients, batches, size = 3, 8, 3, 40
	ctx := t.Context()
	b, err := broker.Start(ctx, broker.Config{Dir: t.TempDir(), Addr: "127.0.0.1:0", Shards: shards, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	nc, err := nats.Connect(b.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Provision(ctx, js, stream.ProvisionConfig{Shards: shards}); err != nil {
		t.Fatal(err)
	}
	p, err := stream.NewPublisher(nc, stream.PublisherConfig{Shards: shards})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		p.Close(ctx)
	})
	g, err := gateway.New(gateway.Config{Log: p, Shards: shards, PublishTimeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(g.Handler())
	defer srv.Close()

	post := func(client, batch int) (int, []string) {
		var events []json.RawMessage
		for i := range size {
			e := schemas.Event{ID: fmt.Sprintf("%d-%d-%d", client, batch, i), Source: "/test", Kind: schemas.FeedbackReceived,
				Tenant: "a.b", Time: time.Now(), Data: schemas.Data{Channel: "web", Text: "Grüße \" *", CustomerID: fmt.Sprint(i)}}
			events = append(events, schemas.AppendStructured(nil, &e))
		}
		body, err := json.Marshal(events)
		if err != nil {
			t.Error(err)
		}
		resp, err := http.Post(srv.URL+"/v1/events", schemas.ContentTypeBatch, bytes.NewReader(body))
		if err != nil {
			t.Error(err)
			return 0, nil
		}
		defer resp.Body.Close()
		var answer struct {
			EventIDs []string `json:"event_ids"`
		}
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			t.Error(err)
		}
		return resp.StatusCode, answer.EventIDs
	}
	var (
		mu       sync.Mutex
		answered = map[string]bool{}
		wg       sync.WaitGroup
	)
	for c := range clients {
		wg.Go(func() {
			for i := range batches {
				status, ids := post(c, i)
				if status != http.StatusAccepted || len(ids) != size {
					t.Errorf("batch %d of client %d: %d with %d ids", i, c, status, len(ids))
				}
				mu.Lock()
				for _, id := range ids {
					answered[id] = true
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()

	stored := map[string]bool{}
	for shard := range shards {
		s, err := stream.OpenShard(ctx, js, nc, shard)
		if err != nil {
			t.Fatal(err)
		}
		last, err := s.Last(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for at := uint64(0); at < last; {
			records, err := s.Read(ctx, at, 1000, 8<<20, time.Second, 10*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			for i := range records {
				e, ps := schemas.DecodeRecord(&records[i])
				if ps != nil {
					t.Fatalf("record %d of shard %d: %v", records[i].Seq, shard, ps)
				}
				if want := schemas.Shard(e.PartitionKey(), shards); want != shard || records[i].Subject != e.LogSubject(shard) {
					t.Errorf("%s is in shard %d, belongs in %d", records[i].Subject, shard, want)
				}
				if id := e.Identity().String(); stored[id] || !answered[id] || e.Data.Text != "Grüße \" *" {
					t.Errorf("%s is there twice, or was never answered for, or differs", e.ID)
				} else {
					stored[id] = true
				}
				at = records[i].Seq
			}
		}
	}
	if want := clients * batches * size; len(stored) != want || len(answered) != want {
		t.Errorf("%d stored, %d answered for, %d sent", len(stored), len(answered), want)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if status, _ := post(0, 99); status != http.StatusServiceUnavailable {
		t.Errorf("with the broker gone the answer was %d", status)
	}
}
