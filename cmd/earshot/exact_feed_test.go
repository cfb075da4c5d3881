package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot/earshot/schemas"
)

// A test of the promise reports what it found as an attribute of this name, with the fields fault, rounds, rows, lost and
// doubled between bars. .ci/exact makes a table of them.
const exactAttr = "exact"

func reportExact(t *testing.T, fault string, rounds int, found outcome) {
	t.Helper()
	t.Attr(exactAttr, fmt.Sprintf("%s | %d | %d | %d | %d", fault, rounds, found.rows, found.lost, found.doubled))
}

// feed sends events to nodes that fail, and remembers what was answered: the list that the table is held against.
type feed struct {
	t        *testing.T
	random   *rand.Rand
	made     int
	answered map[string]bool // every id sent; true: a request with it was answered 202
	rubbish  map[string]bool // malformed messages put straight into the log; true: acknowledged
	statuses map[int]int     // answers of the gateway
}

func newFeed(t *testing.T, seed uint64) *feed {
	return &feed{t: t, random: rand.New(rand.NewPCG(seed, 3)), answered: map[string]bool{}, rubbish: map[string]bool{}, statuses: map[int]int{}}
}

// exactEnv makes a node store in small batches at once, so that a fault meets many of them, and announce old events too. The
// alerts are left out: their questions to ClickHouse, every second, take most of what a node that waits takes, and several
// wait beside each other here.
func exactEnv() []string {
	return []string{"EARSHOT_LINGER=10ms", "EARSHOT_INSIGHT_MAX_AGE=87600h", "EARSHOT_ALERT_RULES=off"}
}

// Sizes of a request: events that are new, and events that are sent again.
const feedFresh, feedAgain = 20, 4

// event makes the n-th event, the same whenever it is asked for.
func (f *feed) event(n int) string {
	texts := [...]string{
		"Parcel %d arrived crushed and nobody answered for three days.", "Order %d: lovely shop, the staff were kind and quick, thank you!",
		"Number %d came on Tuesday.", "I want my money back for order %d, this is the last time I buy here.", "包裹 %d 很好，服务也很好。",
		"The box of %d was fine but the price is too high. When will there be a discount?",
	}
	text, _ := json.Marshal(fmt.Sprintf(texts[n%len(texts)], n))
	return fmt.Sprintf(`{"specversion":"1.0","id":"%d","source":"/test/exact","type":"feedback.received.v1","time":"2026-%02d-%02dT%02d:31:07Z","tenantid":"t%d","data":{"channel":%q,"value_text":%s,"customer_id":"c-%d"}}`,
		n, 8+n%3, 1+n/7%28, n/5%24, n/11%2, []string{"support", "review", "email"}[n/3%3], text, n%500)
}

// request makes the next batch and the ids in it.
func (f *feed) request() (ids []string, body []byte) {
	var b bytes.Buffer
	for i := range feedFresh + feedAgain {
		n := f.made
		if i < feedFresh || f.made == 0 {
			f.made++
		} else {
			n = f.random.IntN(f.made)
		}
		b.WriteByte("[,"[min(i, 1)])
		b.WriteString(f.event(n))
		ids = append(ids, fmt.Sprint(n))
	}
	b.WriteByte(']')
	return ids, b.Bytes()
}

// pour sends requests to a node until it is told to stop or the node is gone, and now and then something malformed straight
// into the log. It returns how many requests were accepted.
func (f *feed) pour(up *running, stop func(sent int) bool) (accepted int) {
	f.t.Helper()
	nc, err := nats.Connect(up.Nats, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		return 0 // the node is gone already
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		f.t.Fatal(err)
	}
	for sent := 0; !stop(sent); sent++ {
		if sent%4 == 1 {
			f.spoil(js)
		}
		ids, body := f.request()
		status, _, err := post(up.Gateway+"/v1/events", batchType, body)
		if err == nil {
			f.statuses[status]++
		}
		for _, id := range ids {
			f.answered[id] = f.answered[id] || status == http.StatusAccepted
		}
		if status == http.StatusAccepted {
			accepted++
		}
		select {
		case <-up.done:
			return accepted
		default:
		}
	}
	return accepted
}

// spoil publishes a message that is no event.
func (f *feed) spoil(js jetstream.JetStream) {
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond) // the node may be gone
	defer cancel()
	body := fmt.Sprintf(`{"broken":%d`, len(f.rubbish))
	_, err := js.Publish(ctx, "feedback.in.t0.web.feedback.received.k", []byte(body), jetstream.WithRetryAttempts(0))
	f.rubbish[body] = err == nil
}

// outcome is what became of a feed.
type outcome struct {
	rows           int
	lost, doubled  int // rows, dead letters and insights that are missing, and that are there too often
	hours, unequal int // hours of which there are figures, and those in which they differ
}

// add counts what another feed came to.
func (found *outcome) add(o outcome) {
	found.rows, found.lost, found.doubled = found.rows+o.rows, found.lost+o.lost, found.doubled+o.doubled
	found.hours, found.unequal = found.hours+o.hours, found.unequal+o.unequal
}

// check starts the node once more, without faults, waits until it has dealt with everything, and holds table, dead letters,
// insights and hourly figures against what was answered. faults says in words what is wrong.
func (f *feed) check(dir string) (found outcome, faults []string) {
	f.t.Helper()
	up := startUp(f.t, dir, exactEnv()...)
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	balance, wrong := balanced(f.t, dir, up.Nats)
	if wrong != "" {
		fault("%s", wrong)
	}
	rows, actionable := map[string]int{}, map[string]int{}
	for line := range strings.Lines(ask(f.t, dir, "SELECT source_event_id, event_id, response_needed OR intent = 'churn_notice' FROM feedback")) {
		fields := strings.Fields(line)
		rows[fields[0]]++
		if fields[2] == "true" || fields[2] == "1" {
			actionable[fields[1]] = 1
		}
		found.rows++
	}
	insights, dead := publishedOutcomes(f.t, up.Nats)
	found.compare("row", rows, f.answered, fault)
	found.compare("dead letter", dead, f.rubbish, fault)
	must := map[string]bool{}
	for id := range actionable {
		must[id] = true
	}
	found.compare("insight", insights, must, fault)
	if len(must) == 0 || len(dead) == 0 || balance.Duplicates == 0 {
		fault("%d insights, %d dead letters and %d duplicates: the feed proves nothing about one of them", len(must), len(dead), balance.Duplicates)
	}
	var unequal []string
	found.hours, unequal = hours(func(sql string) string { return ask(f.t, dir, sql) })
	found.unequal = len(unequal)
	if found.unequal > 3 {
		unequal = append(unequal[:3], fmt.Sprintf("and %d more hours", found.unequal-3))
	}
	faults = append(faults, unequal...)
	up.stop()
	return found, faults
}

// balanced runs reconcile and says what is wrong with the sum. One thing is not: when the first write into a new block of the
// log fails, nats-server goes on at the next sequence after its restart, so the log has a sequence without a message. It
// was not acknowledged to anybody, but reconcile cannot know that and does not call the sum exact.
func balanced(t *testing.T, dir, url string) (b balance, wrong string) {
	t.Helper()
	var stdout, stderr string
	var code int
	err := errors.New("not asked yet")
	for try := 0; err != nil && try < 3; try++ { // a broker that is ill may be restarted under the command
		stdout, stderr, code = output(t, earshot(t, dir, "reconcile", "--json", "--wait", "90s"))
		err = json.Unmarshal([]byte(stdout), &b)
	}
	if err != nil {
		return b, fmt.Sprintf("reconcile (code %d) printed no JSON: %s%s", code, stdout, stderr)
	}
	if b.Exact {
		return b, ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	st, err := js.Stream(ctx, schemas.FeedbackStream(0))
	if err != nil {
		t.Fatal(err)
	}
	log := st.CachedInfo().State
	if holes := log.LastSeq - log.Msgs; holes == 0 || b.Pending > 0 || b.Accepted != b.Stored+b.Duplicates+b.Dead+holes {
		return b, fmt.Sprintf("reconcile says %+v: %s", b, stderr)
	}
	t.Logf("the log has sequences without a message: %d of %d", log.LastSeq-log.Msgs, log.LastSeq)
	return b, ""
}

// compare counts what is there against what must be (true) and what may be (false).
func (found *outcome) compare(what string, there map[string]int, known map[string]bool, fault func(string, ...any)) {
	var lost, doubled, strange int
	for id, n := range there {
		if n > 1 {
			doubled += n - 1
		}
		if _, ok := known[id]; !ok {
			strange++
		}
	}
	for id, must := range known {
		if must && there[id] == 0 {
			lost++
		}
	}
	if lost+doubled+strange > 0 {
		fault("%ss: %d lost, %d doubled, %d that nobody sent, of %d", what, lost, doubled, strange, len(there))
	}
	found.lost += lost
	found.doubled += doubled + strange
}

// publishedOutcomes counts the insights by event and the dead letters by their bytes, once everybody has read them: the streams that
// people read, which are filled from OUTCOMES, must come to hold as many.
func publishedOutcomes(t *testing.T, url string) (insights, dead map[string]int) {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	insights = countMessages(ctx, t, js, schemas.InsightSubjects, func(m jetstream.Msg) string { return m.Headers().Get(schemas.HeaderEventID) })
	dead = countMessages(ctx, t, js, schemas.DeadSubjects, func(m jetstream.Msg) string { return string(m.Data()) })
	for stream, want := range map[string]int{schemas.InsightsStream: sumOf(insights), schemas.DeadLettersStream: sumOf(dead)} {
		n, began := -1, time.Now()
		for n < want && time.Since(began) < patience {
			st, err := js.Stream(ctx, stream)
			if err != nil {
				t.Fatal(err)
			}
			n = int(st.CachedInfo().State.Msgs)
			time.Sleep(20 * time.Millisecond)
		}
		if n != want {
			t.Fatalf("%s has %d messages, want the %d of %s", stream, n, want, schemas.OutcomesStream)
		}
	}
	return insights, dead
}

// countMessages reads the messages of a subject of OUTCOMES and counts them by key.
func countMessages(ctx context.Context, t *testing.T, js jetstream.JetStream, subject string, key func(jetstream.Msg) string) map[string]int {
	t.Helper()
	st, err := js.Stream(ctx, schemas.OutcomesStream)
	if err != nil {
		t.Fatal(err)
	}
	info, err := st.Info(ctx, jetstream.WithSubjectFilter(subject))
	if err != nil {
		t.Fatal(err)
	}
	var all int
	for _, n := range info.State.Subjects {
		all += int(n)
	}
	out := map[string]int{}
	consumer, err := js.OrderedConsumer(ctx, schemas.OutcomesStream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject}})
	if err != nil {
		t.Fatal(err)
	}
	for read := 0; read < all; {
		batch, err := consumer.Fetch(min(all-read, 500), jetstream.FetchMaxWait(10*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		for m := range batch.Messages() {
			out[key(m)]++
			read++
		}
		if ctx.Err() != nil {
			t.Fatalf("read %d of %d messages of %s", read, all, subject)
		}
	}
	return out
}

func sumOf(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}
