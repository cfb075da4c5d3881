package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/earshot/earshot/schemas"
)

// traces lists the files below a folder that hold one of the words, as they are or in the blocks that ClickHouse compresses.
func traces(t *testing.T, dir string, words ...string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			if os.IsNotExist(err) { // the store removes files while it runs
				return nil
			}
			return err
		}
		b, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil {
			return err
		}
		plain := b
		if strings.HasSuffix(path, ".bin") {
			plain = append(slices.Clip(b), blocks(b)...)
		}
		for _, w := range words {
			if bytes.Contains(plain, []byte(w)) {
				rel, _ := filepath.Rel(dir, path)
				out = append(out, rel+" has "+w)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// blocks decompresses the blocks of a file of ClickHouse: 16 bytes of checksum, one of method, the length with these nine
// bytes, the length of what is inside. Those of methods that are for numbers are left out.
func blocks(b []byte) (out []byte) {
	for len(b) > 25 {
		size := 16 + int(binary.LittleEndian.Uint32(b[17:21]))
		if size < 25 || size > len(b) {
			break
		}
		if plain, err := io.ReadAll(compress.NewReader(bytes.NewReader(b[:size]))); err == nil {
			out = append(out, plain...)
		}
		b = b[size:]
	}
	return out
}

// eraseStory is a node with events of one customer among those of others.
type eraseStory struct {
	t        *testing.T
	dir      string
	node     *running
	customer string // planted in every place a customer's name has
	marker   string // planted in every text
}

func (s *eraseStory) start(env ...string) {
	s.node = startUp(s.t, s.dir, append([]string{"EARSHOT_ERASE_AFTER=1s", "EARSHOT_LOG_LEVEL=debug", "EARSHOT_INSIGHT_MAX_AGE=87600h", "EARSHOT_CACHE_EVERY=1s"}, env...)...)
}

// say posts an event about the customer; fields are more members of its data.
func (s *eraseStory) say(id, kind, text, fields string) {
	s.t.Helper()
	s.post(fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/test/erase","type":"%s.v1","time":%q,"tenantid":"acme","data":{"channel":"support","value_text":%q%s}}`,
		id, kind, time.Now().UTC().Format(time.RFC3339), text, fields))
}

func (s *eraseStory) post(body string) {
	s.t.Helper()
	code, answer, err := post(s.node.Gateway+"/v1/events", "application/cloudevents+json", []byte(body))
	if err != nil || code != 202 {
		s.t.Fatalf("post: %d %s %v", code, answer, err)
	}
}

// plant lets the customer and others speak: events, one sent twice, one that becomes a dead letter, an answer in the
// customer's case that does not name them, and an alert's worth of complaints.
func (s *eraseStory) plant() {
	own := fmt.Sprintf(`,"customer_id":%q,"case_id":"case-%s","metadata":{"order":%q}`, s.customer, s.marker[:8], s.marker)
	// An answer before the question, so that the customer still waits.
	s.post(fmt.Sprintf(`{"specversion":"1.0","id":"agent-1","source":"/test/erase","type":"agent.responded.v1","time":%q,"tenantid":"acme","data":{"channel":"support",
		"value_text":"Dear %s, we are sorry.","actor_kind":"agent","visibility":"public","case_id":"case-%s"}}`, time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), s.marker, s.marker[:8]))
	for i := range 12 {
		s.say(fmt.Sprint("own-", i), "feedback.received", "My parcel was crushed, nobody answered, I will buy elsewhere! "+s.marker, own)
	}
	s.say("own-3", "feedback.received", "My parcel was crushed, nobody answered, I will buy elsewhere! "+s.marker, own)
	code, answer, err := post(s.node.Gateway+"/v1/events", batchType, batch(0, 300))
	if err != nil || code != 202 {
		s.t.Fatalf("post: %d %s %v", code, answer, err)
	}
	nc, err := nats.Connect(s.node.Nats)
	if err != nil {
		s.t.Fatal(err)
	}
	defer nc.Close()
	for i, body := range []string{
		fmt.Sprintf(`{"specversion":"1.0","id":"bad","source":"/test/erase","type":"feedback.received.v1","time":"yesterday","tenantid":"acme","data":{"customer_id":%q,"value_text":%q}}`, s.customer, s.marker),
		fmt.Sprintf(`{"specversion":"1.0", broken %s %s`, s.customer, s.marker),
	} {
		m := nats.NewMsg(fmt.Sprintf("feedback.in.acme.support.feedback.received.k%d", i))
		m.Header.Set(schemas.HeaderContentType, schemas.ContentTypeEvent)
		m.Data = []byte(body)
		if _, err := nc.RequestMsg(m, 10*time.Second); err != nil {
			s.t.Fatal(err)
		}
	}
	eventually(s.t, "everything is stored", func() bool {
		return ask(s.t, s.dir, "SELECT count() FROM feedback") == "313"
	})
}

// balanced holds the books against each other in every way there is.
func (s *eraseStory) balanced(when string) {
	s.t.Helper()
	for _, args := range [][]string{{"reconcile", "--by-hour"}, {"audit", "--full"}} {
		if stdout, stderr, code := output(s.t, earshot(s.t, s.dir, args...)); code != 0 {
			s.t.Errorf("%s: %v ended with %d:\n%s%s", when, args, code, stdout, stderr)
		}
	}
}

func newEraseStory(t *testing.T) *eraseStory {
	const letters = "bcdfghjkmnpqrstvwxz"
	word := func() string {
		b := make([]byte, 20)
		for i := range b {
			b[i] = letters[rand.IntN(len(letters))]
		}
		return string(b)
	}
	return &eraseStory{t: t, dir: dataFolder(t), customer: "cust-" + word(), marker: word()}
}

// silent says that neither the customer nor a text is in what was printed.
func (s *eraseStory) silent(what, printed string) {
	s.t.Helper()
	for _, word := range []string{s.customer, s.marker} {
		if i := strings.Index(printed, word); i >= 0 {
			s.t.Errorf("%s tells of %s: …%s…", what, word, printed[max(0, i-200):min(len(printed), i+100)])
		}
	}
}

// A customer who is erased leaves no byte in any file of the log and of the table, though the secret of customer keys was
// rotated, the rows are there in two classifications, and the node is killed in the middle of it. The figures, the books and
// everybody else stay as they were.
func TestErasedCustomerLeavesNoByteOnDisk(t *testing.T) {
	t.Parallel()
	s := newEraseStory(t)
	s.start()
	s.plant()
	s.balanced("before")
	eventually(t, "it is planted in the cache", func() bool {
		return ask(t, s.dir, "SELECT count() FROM system.tables WHERE database = 'earshot_cache' AND name = 'open_waits'") == "1" &&
			ask(t, s.dir, "SELECT countIf(position(text, '"+s.marker+"') > 0) > 0 FROM earshot_cache.open_waits") == "1"
	})
	for _, part := range []string{"nats/jetstream/$G/streams/FEEDBACK_0", "nats/jetstream/$G/streams/OUTCOMES", "nats/jetstream/$G/streams/DEADLETTERS", "clickhouse/store"} {
		eventually(t, "it is planted in "+part, func() bool { // files move while they are looked at
			return slices.ContainsFunc(traces(t, s.dir, s.customer, s.marker), func(f string) bool { return strings.HasPrefix(f, part) })
		})
	}

	const keys = "SELECT uniqExact(customer_key), anyIf(customer_key, source_event_id = 'own-1') FROM feedback_current"
	first := strings.Fields(ask(t, s.dir, keys))
	if _, stderr, code := output(t, earshot(t, s.dir, "key", "rotate-customers")); code != 0 {
		t.Fatalf("key rotate-customers: %s", stderr)
	}
	s.node.stop()
	s.silent("the log of the node", s.node.log.String())
	s.start()
	s.say("own-11", "feedback.received", "sent again "+s.marker, fmt.Sprintf(`,"customer_id":%q`, s.customer)) // under the old key still
	if _, stderr, code := output(t, earshot(t, s.dir, "reclassify")); code != 0 {
		t.Fatalf("reclassify: %s", stderr)
	}
	second := strings.Fields(ask(t, s.dir, keys))
	if len(first) != 2 || len(second) != 2 || first[0] != second[0] || first[1] == second[1] || ask(t, s.dir, "SELECT count() FROM feedback_current WHERE customer_key = '"+second[1]+"'") != "12" {
		t.Errorf("customers and one of their keys before the rotation: %v, after: %v", first, second)
	}
	if _, stderr, code := output(t, earshot(t, s.dir, "reclassify", "--rollback")); code == 0 || !strings.Contains(stderr, "version 1") {
		t.Errorf("a rollback to the old secret ended with %d: %s", code, stderr)
	}

	if _, stderr, code := output(t, earshot(t, s.dir, "erase", "--tenant", "acme", "--customer", s.customer, "--wait", "0")); code != 0 {
		t.Fatalf("erase: %s", stderr)
	}
	eventually(t, "the erasure has begun", func() bool { return strings.Contains(s.node.log.String(), "erasing a customer") })
	s.node.kill()
	s.silent("the log of the node", s.node.log.String())

	// Nobody is there any more: the next command does what is left, and what it is asked for.
	began := time.Now()
	cmd := earshot(t, s.dir, "erase", "--tenant", "acme", "--customer", "-", "--json", "--wait", "2m")
	cmd.Stdin = strings.NewReader("nobody-we-know\n")
	cmd.Env = append(cmd.Env, "EARSHOT_ERASE_AFTER=1s")
	stdout, stderr, code := output(t, cmd)
	if code != 0 {
		t.Fatalf("erase ended with %d: %s", code, stderr)
	}
	t.Attr("erasure", fmt.Sprintf("%.0f s", time.Since(began).Seconds()))
	var r schemas.EraseReceipt
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	if r.Rows != 1 || r.Messages != 0 || r.Letters != 0 || r.Insights != 0 { // the row of the request
		t.Errorf("the receipt for a customer who was never there says %+v", r)
	}
	s.silent("the command", stdout+stderr)
	if after := traces(t, s.dir, s.customer, s.marker, "nobody-we-know"); len(after) > 0 {
		t.Errorf("after the erasure: %s", strings.Join(after, "\n"))
	}

	s.start()
	for query, want := range map[string]string{
		"SELECT countIf(kind = 'erased'), count() FROM feedback WHERE generation = 1":                    "13\t313",
		"SELECT countIf(kind = 'erased'), count() FROM feedback WHERE generation = 2":                    "15\t317", // two requests, two receipts
		"SELECT countIf(customer_key != ''), count() FROM feedback_current":                              "300\t302",
		"SELECT sum(events) FROM satisfaction_hourly":                                                    "300",
		"SELECT countIf(actor_kind = 'system') FROM feedback_current WHERE kind = 'customer.erase.done'": "2",
	} {
		if got := ask(t, s.dir, query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	s.balanced("after the erasure")

	// What is sent again is known; what is said afterwards is a new beginning.
	own := fmt.Sprintf(`,"customer_id":%q`, s.customer)
	s.say("own-3", "feedback.received", "sent again "+s.marker, own)
	s.say("new-1", "feedback.received", "I am back.", own)
	eventually(t, "the new event is stored", func() bool {
		return ask(t, s.dir, "SELECT count() FROM feedback_current WHERE source = '/test/erase'") == "1"
	})
	s.balanced("after a new beginning")
	s.silent("the log of the node", s.node.log.String())
}

// The command outlives a restart of the node, which has other addresses afterwards; and where no node comes back, it ends,
// and claims neither that the customer was erased nor that they were not.
func TestEraseOutlivesTheNode(t *testing.T) {
	t.Parallel()
	s := newEraseStory(t)
	s.start("EARSHOT_ERASE_AFTER=1h")
	s.say("own-1", "feedback.received", "Late.", fmt.Sprintf(`,"customer_id":%q`, s.customer))
	cmd := earshot(t, s.dir, "erase", "--tenant", "acme", "--customer", s.customer, "--wait", "3m")
	var stdout, stderr lockedBuffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { cmd.Process.Kill() })
	eventually(t, "the request is stored", func() bool {
		return ask(t, s.dir, "SELECT count() FROM feedback WHERE kind = 'customer.erase.requested'") == "1"
	})
	s.node.kill()
	s.start() // which erases after 1 s
	select {
	case err := <-ended:
		if err != nil || !strings.Contains(stdout.String(), "erased: 2 rows") {
			t.Errorf("the command ended with %v: %s%s", err, stdout.String(), stderr.String())
		}
	case <-time.After(patience):
		t.Fatal("the command still waits")
	}

	l, err := openErasure(t.Context(), s.node.Nats, 1, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	s.node.kill()
	began := time.Now()
	receipt, err := l.await(t.Context(), schemas.EventID{}, 2*time.Second, nil)
	if receipt != nil || err == nil || !strings.Contains(err.Error(), "not known") || time.Since(began) > 15*time.Second {
		t.Errorf("without a node: %v, %v after %v", receipt, err, time.Since(began))
	}
}

// forged is what a line of the log looks like.
const forged = `{"level":"error","message":"forged"}`

// Whatever customers and clients send, it makes no line of the log and shows in none; and no secret shows anywhere.
func TestNothingThatIsSaidAndNoSecretIsPrinted(t *testing.T) {
	t.Parallel()
	s := newEraseStory(t)
	secrets := map[string]string{"hook": "whsec-Zm9vYmFyYmF6cXV4", "nats": "n4ts-pa55word", "dsn": "dsn-pa55word"}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	writeSources(t, s.dir, "", map[string]string{"typeform": secrets["hook"]})
	token, stderr, code := output(t, earshot(t, s.dir, "key", "create", "--name", "all"))
	if code != 0 {
		t.Fatal(stderr)
	}
	token = strings.TrimSpace(token)
	secrets["key"] = token[strings.LastIndex(token, "_")+1:]
	s.start("EARSHOT_LOG_FORMAT=json")
	key, err := os.ReadFile(filepath.Join(s.dir, keyFile))
	if err != nil {
		t.Fatal(err)
	}
	secrets["customer key"], secrets["customer key in hex"] = string(key), fmt.Sprintf("%x", key)

	hostile := "\n" + forged + "\r\n\x1b[31mred\x00" + s.marker
	own := fmt.Sprintf(`,"customer_id":%q,"language":"en"`, s.customer)
	text, _ := json.Marshal(hostile)
	send := func(path, contentType, body string, header ...string) {
		t.Helper()
		if _, _, err := post(s.node.Gateway+path, contentType, []byte(body), append(header, "User-Agent", s.marker, "X-Request-Id", s.marker)...); err != nil {
			t.Fatal(err)
		}
	}
	auth := []string{"Authorization", "Bearer " + token}
	for i, body := range []string{
		fmt.Sprintf(`{"specversion":"1.0","id":%s,"source":"/test/story","type":"feedback.received.v1","time":"2026-11-03T08:31:07Z","tenantid":"acme","data":{"value_text":%s%s}}`, text, text, own),
		fmt.Sprintf(`{"specversion":"1.0","id":"1","source":%s,"type":%s,"time":%s,"tenantid":%s,"data":{"value_text":%s%s}}`, text, text, text, text, text, own),
		`{"specversion":"1.0", ` + hostile, "[" + hostile + "]", hostile,
	} {
		send("/v1/events", "application/cloudevents+json", body, auth...)
		send("/v1/events", "application/cloudevents+json", body, "Authorization", "Bearer "+s.marker)
		send(fmt.Sprintf("/v1/feedback?x%d=%s", i, s.marker), "application/json", body, auth...)
		send("/v1/hooks/typeform/acme", "application/json", body, "Typeform-Signature", "sha256="+s.marker)
		send("/"+s.marker, "text/plain", body)
	}
	nc, err := nats.Connect(s.node.Nats)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	m := nats.NewMsg("feedback.in.acme.support.feedback.received.k1")
	m.Data = []byte(hostile)
	m.Header.Set("ce-id", s.marker)
	if _, err := nc.RequestMsg(m, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the dead letter is there", func() bool {
		stdout, _, _ := output(t, earshot(t, s.dir, "dlq", "list"))
		return strings.Contains(stdout, "parse_error")
	})
	printed := map[string]string{}
	for _, path := range []string{"/metrics", "/readyz?verbose"} {
		resp, err := http.Get(s.node.Gateway + path)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		printed[path] = string(b)
	}
	for _, args := range [][]string{{"config"}, {"doctor"}, {"key", "list"}, {"reconcile", "--by-hour"}, {"audit", "--full"}, {"version"}, {"query", "SELECT 1"}} {
		cmd := earshot(t, s.dir, args...)
		cmd.Env = append(cmd.Env, "EARSHOT_SEND_KEY="+token)
		stdout, stderr, _ := output(t, cmd)
		printed[strings.Join(args, " ")] = stdout + stderr
	}
	// Of servers that are not there, and of a configuration that is wrong.
	for _, args := range [][]string{{"config"}, {"doctor"}, {"process"}} {
		cmd := earshot(t, dataFolder(t), args...)
		cmd.Env = append(cmd.Env, "EARSHOT_NATS_URL=nats://earshot:"+secrets["nats"]+"@127.0.0.1:1", "EARSHOT_CLICKHOUSE_DSN=http://earshot:"+secrets["dsn"]+"@127.0.0.1:1",
			"EARSHOT_CUSTOMER_KEY_FILE="+filepath.Join(s.dir, keyFile))
		giveUp := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() }) // a node may wait for its servers for ever
		stdout, stderr, _ := output(t, cmd)
		giveUp.Stop()
		printed["outside "+args[0]] = stdout + stderr
	}
	s.node.stop()
	printed["the log"] = s.node.log.String()
	for what, text := range printed {
		s.silent(what, text)
		for name, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows the secret %s", what, name)
			}
		}
		if strings.Contains(text, "\x1b[31m") || strings.Contains(text, "\x00") {
			t.Errorf("%s has control characters of a client", what)
		}
	}
	for line := range strings.Lines(s.node.log.String()) {
		var l struct{ Level, Message string }
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Level == "" || l.Message == "forged" {
			t.Errorf("a line of the log that the program did not write: %q", line)
		}
	}
}
