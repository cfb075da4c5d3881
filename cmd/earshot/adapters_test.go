package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot/earshot/schemas"
)

// malformed are the files of events that are wrong in one way each; the schemas package says what of each is named.
func malformed(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("../../schemas/testdata/malformed/*")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, f := range files {
		if strings.HasSuffix(f, ".golden") {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(f)] = b
	}
	if len(out) < 20 {
		t.Fatalf("only %d malformed events: the corpus is not where it is looked for", len(out))
	}
	return out
}

// Over HTTP a malformed event is refused with a problem that names the fault, over NATS it becomes a dead letter with its
// reason and its original bytes; in both cases what follows is stored.
func TestMalformedEventsAreNamedAndNeverBlockTheShard(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	up := startUp(t, dir)
	nc, err := nats.Connect(up.Nats)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	published := 0
	for name, body := range malformed(t) {
		code, answer, err := post(up.Gateway+"/v1/events", schemas.ContentTypeEvent, body)
		switch {
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case code < 400 || code >= 500:
			t.Errorf("%s: answered %d %s; want a refusal", name, code, answer)
		case !strings.Contains(string(answer), `"detail"`):
			t.Errorf("%s: the answer %s names no fault", name, answer)
		}
		if len(body) > schemas.MaxEventBytes { // the broker itself refuses those, and says so to whoever asks
			continue
		}
		if err := nc.Publish("feedback.in.acme.support.feedback.received.k"+fmt.Sprint(published), body); err != nil {
			t.Fatal(err)
		}
		published++
	}
	// Who may publish what is decided by the subject, so an event that is another's than its subject says is none.
	for subject, e := range map[string]string{
		"feedback.in.other.support.feedback.received.k": event("m1", "Late."), "feedback.in.acme.survey.feedback.received.k": event("m2", "Late."),
		"feedback.in.acme.support.feedback.received.k": strings.Replace(event("m3", "Late."), "feedback.received", "customer.erase.requested", 1),
	} {
		if err := nc.Publish(subject, []byte(e)); err != nil {
			t.Fatal(err)
		}
		published++
	}
	good := [][]string{
		{"structured", event("n1", "The box was crushed."), schemas.HeaderContentType, schemas.ContentTypeEvent},
		{"structured without a header", event("n2", "Nobody answered.")},
		{"binary", `{"channel":"support","value_text":"Slow and rude."}`, "ce-specversion", "1.0", "ce-id", "n3", "ce-source", "/nats/test", "ce-type", "feedback.received.v1",
			"ce-time", "2026-11-01T08%3A00%3A00Z", "ce-tenantid", "acme", "content-type", "application/json"},
	}
	for _, g := range good {
		m := nats.NewMsg("feedback.in.acme.support.feedback.received.key-" + g[0][:1])
		m.Data = []byte(g[1])
		for i := 2; i+1 < len(g); i += 2 {
			m.Header[g[i]] = []string{g[i+1]}
		}
		if err := nc.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if code, body, err := post(up.Gateway+"/v1/events", schemas.ContentTypeEvent, []byte(event("h1", "Lovely."))); err != nil || code != http.StatusAccepted {
		t.Fatalf("a good event after the bad ones: %d %s %v", code, body, err)
	}
	b := reconciled(t, dir)
	want := balance{Accepted: uint64(published + 4), Stored: 4, Dead: uint64(published), Exact: true}
	if b != want {
		t.Errorf("reconcile says %+v, want %+v", b, want)
	}
	if got := ask(t, dir, "SELECT groupArray(source_event_id) FROM (SELECT source_event_id FROM feedback ORDER BY source_event_id)"); got != "['h1','n1','n2','n3']" {
		t.Errorf("stored are %s", got)
	}
	checkDeadLetters(t, nc, published)
	up.stop()
}

// checkDeadLetters reads the dead letters as an operator's tool would.
func checkDeadLetters(t *testing.T, nc *nats.Conn, want int) {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := js.OrderedConsumer(ctx, schemas.DeadLettersStream, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for range want {
		m, err := c.Next(jetstream.FetchMaxWait(20 * time.Second))
		if err != nil {
			t.Fatalf("read the dead letters: %v", err)
		}
		h := m.Headers()
		for _, name := range []string{schemas.HeaderReason, schemas.HeaderDetail, schemas.HeaderStream, schemas.HeaderSequence} {
			if h.Get(name) == "" {
				t.Errorf("dead letter %s has no %s", m.Subject(), name)
			}
		}
		orig, err := js.Stream(ctx, h.Get(schemas.HeaderStream))
		if err != nil {
			t.Fatal(err)
		}
		var seq uint64
		fmt.Sscan(h.Get(schemas.HeaderSequence), &seq)
		raw, err := orig.GetMsg(ctx, seq)
		if err != nil || string(raw.Data) != string(m.Data()) {
			t.Errorf("dead letter %s does not carry the original bytes of %s %d: %v", m.Subject(), h.Get(schemas.HeaderStream), seq, err)
		}
	}
}

// Whatever the contract accepts, the store takes: the longest texts, the largest numbers, the earliest times.
func TestEverythingTheContractAcceptsIsStored(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	up := startUp(t, dir)
	files, err := filepath.Glob("../../schemas/testdata/events/valid/*.json")
	files = slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, "customer.erase.done.json") }) // which only a node writes
	if err != nil || len(files) < 20 {
		t.Fatalf("%d valid events found, %v", len(files), err)
	}
	events := make([]string, 0, len(files)+2)
	for i, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		// Several files share an id; a source of their own makes them different occurrences.
		var e map[string]any
		if err := json.Unmarshal(b, &e); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		e["source"] = fmt.Sprintf("/file/%d", i)
		own, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, string(own))
	}
	extreme := func(id, when, data string) string {
		return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/extreme","type":"feedback.received.v1","time":%q,"tenantid":"t","data":{"value_text":%s}}`, id, when, data)
	}
	events = append(events,
		extreme("old", "1970-01-02T00:00:00Z", `"old","value_number":-1e308,"scale_dir":"lower_better"`),
		extreme("long", "2026-01-01T00:00:00.123456789+14:00", `"`+strings.Repeat("漢", schemas.MaxTextLength)+`"`),
		extreme("dates", "2000-02-29T23:59:59Z", `"x","value_date":"9999-12-31","customer_since":"0001-01-01","promise_due":"9999-12-31T23:59:59Z"`),
		extreme("worth", "2026-01-01T00:00:00Z", `"x","customer_value":-1e15,"audience_size":1e12,"metadata":{"a":[1,{"b":null}]},"unknown":[[[]]]`),
		extreme("odd", "2026-01-01T00:00:00Z", `"\u202e\ufeff\u200d👩‍👩‍👧 \ud83d\ude00 <script>' OR 1=1 --\\","channel":"other","language":"xx-invalid"`),
	)
	stored := 0
	for i, e := range events {
		code, body, err := post(up.Gateway+"/v1/events", schemas.ContentTypeEvent, []byte(e))
		switch {
		case err != nil:
			t.Fatal(err)
		case code == http.StatusAccepted:
			stored++
		case i < len(files):
			t.Errorf("%s was accepted by the contract's tests but answered %d %s", files[i], code, body)
		default:
			t.Errorf("%.80s…: %d %s", e, code, body)
		}
	}
	if b := reconciled(t, dir); !b.Exact || b.Stored != uint64(stored) {
		t.Errorf("%d were accepted; reconcile says %+v, want all of them stored", stored, b)
	}
	up.stop()
}

// The CloudEvents SDK is a publisher that nobody here wrote; what it sends arrives in ClickHouse, in both of its modes.
func TestWhatTheCloudEventsSDKSendsIsStored(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	up := startUp(t, dir)
	client, err := cloudevents.NewClientHTTP(cloudevents.WithTarget(up.Gateway + "/v1/events"))
	if err != nil {
		t.Fatal(err)
	}
	for id, encode := range map[string]func(context.Context) context.Context{"binary": cloudevents.WithEncodingBinary, "structured": cloudevents.WithEncodingStructured} {
		e := cloudevents.NewEvent()
		e.SetID(id)
		e.SetSource("/sdk/test")
		e.SetType(schemas.FeedbackReceived.Type())
		e.SetTime(time.Now())
		e.SetExtension("tenantid", "acme")
		if err := e.SetData(cloudevents.ApplicationJSON, map[string]any{"channel": "app", "value_text": "It crashes every time.", "customer_id": "c9"}); err != nil {
			t.Fatal(err)
		}
		if result := client.Send(encode(t.Context()), e); !cloudevents.IsACK(result) {
			t.Fatalf("%s: %v", id, result)
		}
	}
	if b := reconciled(t, dir); b != (balance{Accepted: 2, Stored: 2, Exact: true}) {
		t.Errorf("reconcile says %+v", b)
	}
	if got := ask(t, dir, "SELECT source_event_id, polarity FROM feedback ORDER BY source_event_id"); got != "binary\tnegative\nstructured\tnegative" {
		t.Errorf("stored are %q", got)
	}
	up.stop()
}
