package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// page is one notification that a receiver took.
type page struct {
	at           time.Time
	status, rule string
	tenant, key  string
	text         string
}

// pager is a receiver of webhooks that remembers what it took and when. Like any receiver that looks at webhook-id, it takes a
// message once: one that a killed process had under way may be handled after its death, and then comes again.
type pager struct {
	t      testing.TB
	server *httptest.Server
	mu     sync.Mutex
	pages  []page
	reply  int           // what to answer; 0: 200
	asked  chan struct{} // one for each request, answered well or not
}

func newPager(t testing.TB) *pager {
	p := &pager{t: t, asked: make(chan struct{}, 1000)}
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var g struct {
			Status            string
			CommonLabels      map[string]string
			CommonAnnotations map[string]string
		}
		err := json.NewDecoder(r.Body).Decode(&g)
		p.mu.Lock()
		defer p.mu.Unlock()
		defer func() { p.asked <- struct{}{} }()
		if err != nil || p.reply != 0 {
			w.WriteHeader(max(p.reply, 400))
			return
		}
		key := r.Header.Get("webhook-id")
		if key != "" && slices.ContainsFunc(p.pages, func(before page) bool { return before.key == key }) {
			return
		}
		p.pages = append(p.pages, page{time.Now(), g.Status, g.CommonLabels["alertname"], g.CommonLabels["tenant"], key, fmt.Sprint(g.CommonAnnotations)})
	}))
	t.Cleanup(p.server.Close)
	return p
}

func (p *pager) answer(status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reply = status
}

func (p *pager) taken() []page {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]page(nil), p.pages...)
}

// wait waits until so many pages were taken.
func (p *pager) wait(n int) []page {
	p.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if got := p.taken(); len(got) >= n {
			return got
		}
	}
	p.t.Fatalf("took %+v, wanted %d", p.taken(), n)
	return nil
}

// wanted is a page that must arrive within a stretch of time.
type wanted struct {
	from, to             time.Time
	status, rule, tenant string
}

// collect fails for every page that was wanted and did not come, and for every one that came and was not wanted.
func (p *pager) collect(list ...wanted) {
	p.t.Helper()
	got := p.taken()
	for _, w := range list {
		found := false
		for i, g := range got {
			if g.status == w.status && g.rule == w.rule && g.tenant == w.tenant && !g.at.Before(w.from) && !g.at.After(w.to) {
				got = append(got[:i], got[i+1:]...)
				found = true
				break
			}
		}
		if !found {
			p.t.Errorf("did not arrive: %+v", w)
		}
	}
	for _, g := range got {
		p.t.Errorf("nobody wanted %+v", g)
	}
}

// files writes rules and receivers and returns the variables that name them.
func alertFiles(t testing.TB, rules, receivers string) []string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"rules.yaml": rules, "receivers.yaml": receivers} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"EARSHOT_ALERT_RULES=" + filepath.Join(dir, "rules.yaml"), "EARSHOT_ALERT_RECEIVERS=" + filepath.Join(dir, "receivers.yaml")}
}

func (p *pager) receiver() string {
	return "receivers:\n  - name: pager\n    type: webhook\n    url: " + p.server.URL + "\n    allow: [127.0.0.0/8]\n    unsigned: true\n"
}

// sayings is a batch of feedback: n customers at times that end at a moment and lie step apart.
func sayings(tenant, text string, n int, end time.Time, step time.Duration, same bool) []byte {
	var b bytes.Buffer
	for i := range n {
		at := end.Add(-time.Duration(i) * step)
		who := fmt.Sprintf("%s-%d-%d", tenant, end.UnixNano(), i)
		if same {
			who = "always-the-same"
		}
		b.WriteByte("[,"[min(i, 1)])
		fmt.Fprintf(&b, `{"specversion":"1.0","id":"%s-%d-%d-%d","source":"/test/alerts","type":"feedback.received.v1","time":%q,"tenantid":%q,"data":{"channel":"app","value_text":%q,"customer_id":%q}}`,
			tenant, end.UnixNano(), len(text), i, at.UTC().Format(time.RFC3339Nano), tenant, text, who)
	}
	b.WriteByte(']')
	return b.Bytes()
}

const complaint, praise = "It crashes all the time and nobody answered for three days. Terrible.", "Lovely app, thank you, great work."

func (r *running) send(body []byte) {
	r.t.Helper()
	if code, answer, err := post(r.Gateway+"/v1/events", batchType, body); err != nil || code != http.StatusAccepted {
		r.t.Fatalf("%d %s %v", code, answer, err)
	}
}

const storyRules = `
rules:
  - alert: Spike
    detector: negative_spike
    by: [channel]
    windows: [15m, 1h]
  - alert: Lawyer
    detector: threshold
    where: {words: [lawyer]}
    severity: critical
`

// The whole way, from the request that crosses the line to the receiver's request, with a kill between.
func TestAlertsFromThePostToThePager(t *testing.T) {
	t.Parallel()
	p := newPager(t)
	dir := dataFolder(t)
	env := alertFiles(t, storyRules, p.receiver())
	up := startUp(t, dir, env...)
	now := time.Now()
	for _, tenant := range []string{"spike", "surge", "author"} { // ten days of one an hour, one of ten complaint
		for i := range 10 {
			text := praise
			if i == 0 {
				text = complaint
			}
			up.send(sayings(tenant, text, 24, now.Add(-time.Duration(2+i)*time.Hour), 10*time.Hour, false))
		}
	}
	up.stop() // the history is read at the start
	up = startUp(t, dir, env...)
	began := time.Now()
	up.send(sayings("surge", praise, 40, time.Now(), time.Second, false))
	up.send(sayings("surge", complaint, 4, time.Now(), time.Second, false))
	up.send(sayings("author", complaint, 40, time.Now(), time.Second, true))
	up.send(sayings("young", complaint, 40, time.Now(), time.Second, false))                    // connected today
	up.send(sayings("spike", complaint, 40, time.Now().Add(-30*time.Hour), time.Second, false)) // of yesterday, arrives now
	up.send(sayings("spike", complaint, 12, time.Now(), time.Second, false))
	got := p.wait(1)
	for _, want := range []string{"expected", "quote_3", "crash", "earshot query --name feedback_latest"} {
		if !strings.Contains(got[0].text, want) {
			t.Errorf("the page does not say %q: %s", want, got[0].text)
		}
	}
	// The receiver is away when the next alert fires, and the process is killed before it is back.
	p.answer(503)
	for len(p.asked) > 0 {
		<-p.asked
	}
	up.send(sayings("other", "My lawyer will write to you.", 1, time.Now(), time.Second, false))
	<-p.asked
	up.kill()
	p.answer(0)
	up = startUp(t, dir, env...)
	p.wait(2)
	up.send(sayings("spike", complaint, 12, time.Now(), time.Second, false)) // the open alert goes on
	up.stop()
	up = startUp(t, dir, env...)
	up.send(sayings("quiet", praise, 3, time.Now(), time.Second, false))
	for range 5 { // some evaluations later nothing more has come
		time.Sleep(time.Second)
	}
	end := time.Now()
	p.collect(wanted{began, end, "firing", "Spike", "spike"}, wanted{began, end, "firing", "Lawyer", "other"})
	// What a person can do meanwhile.
	stdout, stderr, code := output(t, earshot(t, dir, "alert", "list"))
	if code != 0 || !strings.Contains(stdout, "Spike") || !strings.Contains(stdout, "tenant=other") {
		t.Errorf("list: code %d, %s%s", code, stdout, stderr)
	}
	for line := range strings.Lines(stdout) {
		if strings.Contains(line, "Lawyer") {
			id := strings.Fields(line)[0]
			if stdout, stderr, code := output(t, earshot(t, dir, "alert", "ack", id, "--by", "anna")); code != 0 {
				t.Errorf("ack: code %d, %s%s", code, stdout, stderr)
			}
		}
	}
	if got := p.wait(3); !strings.HasSuffix(got[2].key, "-acked") || got[2].rule != "Lawyer" || got[2].status != "firing" {
		t.Errorf("the receiver is not told who looks after it: %+v", got[2])
	}
	if stdout, stderr, code := output(t, earshot(t, dir, "alert", "mute", "tenant=muted", "--for", "1h", "--by", "anna")); code != 0 || !strings.Contains(stdout, "--end") {
		t.Errorf("mute: code %d, %s%s", code, stdout, stderr)
	}
	if stdout, _, _ := output(t, earshot(t, dir, "alert", "list")); !strings.Contains(stdout, "looked after by anna") || !strings.Contains(stdout, "tenant=muted") {
		t.Errorf("after ack and mute: %s", stdout)
	}
	up.send(sayings("muted", "My lawyer will write to you.", 1, time.Now(), time.Second, false))
	for !strings.Contains(ask(t, dir, "SELECT tenant FROM alerts FINAL"), "muted") {
		time.Sleep(100 * time.Millisecond)
	}
	if n := len(p.taken()); n != 3 {
		t.Errorf("a muted alert was delivered: %+v", p.taken())
	}
	stdout, stderr, code = output(t, earshot(t, dir, "alert", "simulate", "--rules", strings.TrimPrefix(env[0], "EARSHOT_ALERT_RULES="), "--rule", "Spike", "--from", now.Add(-time.Hour).UTC().Format(time.RFC3339)))
	if code != 0 || !strings.Contains(stdout, "Spike would have fired 1 times") || !strings.Contains(stdout, "tenant=spike") {
		t.Errorf("simulate: code %d, %s%s", code, stdout, stderr)
	}
	if b := reconciled(t, dir); !b.Exact {
		t.Errorf("reconcile: %+v", b)
	}
	up.stop()
}

// The files of rules and receivers are read again when they change, and one with faults changes nothing.
func TestRulesAndReceiversAreReadAgain(t *testing.T) {
	t.Parallel()
	first, second := newPager(t), newPager(t)
	dir := dataFolder(t)
	env := alertFiles(t, "rules: [{alert: Idle, detector: threshold, where: {words: [nobody says this]}}]", first.receiver())
	write := func(i int, text string) {
		t.Helper()
		_, file, _ := strings.Cut(env[i], "=")
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	up := startUp(t, dir, env...)
	metrics := func() string {
		t.Helper()
		resp, err := http.Get(up.Gateway + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return string(b)
	}
	logged := func(text string) {
		t.Helper()
		for end := time.Now().Add(patience); !strings.Contains(up.log.String(), text); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("the log does not say %q:\n%s", text, up.log.String())
			}
		}
	}
	up.send(sayings("acme", "My lawyer will write to you.", 1, time.Now(), time.Second, false))
	write(0, storyRules)
	first.wait(1)
	write(0, "rules:\n  - alert: Lawyer\n    detector: magic\n")
	logged("rules.yaml:3: detector")
	if text := metrics(); !strings.Contains(text, "\nearshot_alerts_config_current 0\n") {
		t.Error("no metric says that the file has faults")
	}
	up.send(sayings("globex", "My lawyer will write to you.", 1, time.Now(), time.Second, false))
	first.wait(2) // by the rules as they were
	write(1, second.receiver())
	write(0, storyRules) // now all is right again
	for !strings.Contains(metrics(), "\nearshot_alerts_config_current 1\n") {
		time.Sleep(50 * time.Millisecond)
	}
	up.send(sayings("initech", "My lawyer will write to you.", 1, time.Now(), time.Second, false))
	second.wait(1)
	if got := first.taken(); len(got) != 2 || got[0].tenant != "acme" || got[1].tenant != "globex" {
		t.Errorf("the first receiver took %+v", got)
	}
	up.stop()
}

// A delivery that a receiver refused is a dead letter like others: it is listed, shown, and made again under the same key.
func TestAnAlertThatNobodyTookIsADeadLetter(t *testing.T) {
	t.Parallel()
	p := newPager(t)
	p.answer(http.StatusNotFound)
	dir := dataFolder(t)
	up := startUp(t, dir, alertFiles(t, storyRules, p.receiver())...)
	up.send(sayings("acme", "My lawyer will write to you.", 1, time.Now(), time.Second, false))
	<-p.asked
	dlq := func(want string, args ...string) {
		t.Helper()
		var stdout, stderr string
		for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
			if stdout, stderr, _ = output(t, earshot(t, dir, append([]string{"dlq"}, args...)...)); strings.Contains(stdout+stderr, want) {
				return
			}
		}
		t.Fatalf("dlq %q does not say %q: %s%s", args, want, stdout, stderr)
	}
	dlq("acme", "list", "--state", "open", "--shard", "alerts")
	dlq("to receiver pager: given up after 1 attempts", "show", "alerts-1")
	p.answer(0)
	dlq("replayed 1, left as they are 0", "replay", "alerts-1")
	got := p.wait(1)
	if got[0].tenant != "acme" || got[0].status != "firing" || !strings.HasSuffix(got[0].key, "-raised") {
		t.Errorf("delivered %+v", got)
	}
	dlq("nothing is done, it was replayed before", "replay", "alerts-1")
	dlq("1 replayed", "list")
	if n := len(p.taken()); n != 1 {
		t.Errorf("told %d times", n)
	}
	if b := reconciled(t, dir); !b.Exact {
		t.Errorf("reconcile: %+v", b)
	}
	up.stop()
}

// alertmanager is a real one.
type alertmanager struct {
	t   *testing.T
	url string
}

func startAlertmanager(t *testing.T) *alertmanager {
	t.Helper()
	path := tool(t, "prometheus-alertmanager", "prometheus-alertmanager")
	dir := t.TempDir()
	config := filepath.Join(dir, "alertmanager.yml")
	text := "route:\n  receiver: none\n  group_by: [tenant]\n  group_wait: 1s\nreceivers:\n  - name: none\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	cmd := exec.Command(path, "--config.file="+config, "--storage.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr, "--cluster.listen-address=")
	log := &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-done
		if t.Failed() {
			t.Logf("log of the Alertmanager:\n%s", log)
		}
	})
	am := &alertmanager{t, "http://" + addr}
	for {
		if resp, err := http.Get(am.url + "/-/ready"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return am
			}
		}
		select {
		case <-done:
			t.Fatalf("the Alertmanager ended:\n%s", log)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// get asks the Alertmanager's own API.
func (am *alertmanager) get(path string, into any) {
	am.t.Helper()
	resp, err := http.Get(am.url + "/api/v2" + path)
	if err != nil {
		am.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		am.t.Fatal(err)
	}
}

type shown struct {
	Labels, Annotations map[string]string
	StartsAt, EndsAt    time.Time
	Status              struct{ State string }
}

func (am *alertmanager) until(what string, holds func([]shown) bool) []shown {
	am.t.Helper()
	var list []shown
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		list = nil
		if am.get("/alerts", &list); holds(list) {
			return list
		}
	}
	am.t.Fatalf("%s: not within %v: %+v", what, patience, list)
	return nil
}

// A real Alertmanager takes, groups, silences and forgets what it is told.
func TestARealAlertmanagerUnderstands(t *testing.T) {
	t.Parallel()
	am := startAlertmanager(t)
	dir := dataFolder(t)
	receivers := "receivers:\n  - name: am\n    type: alertmanager\n    url: " + am.url + "\n    allow: [127.0.0.0/8]\n"
	env := alertFiles(t, storyRules, receivers)
	up := startUp(t, dir, env...)
	for _, tenant := range []string{"acme", "globex"} {
		up.send(sayings(tenant, "My lawyer will write to you.", 1, time.Now(), time.Second, false))
	}
	list := am.until("two alerts", func(l []shown) bool { return len(l) == 2 })
	for _, a := range list {
		if a.Labels["alertname"] != "Lawyer" || a.Labels["severity"] != "critical" || a.Status.State != "active" && a.Status.State != "unprocessed" || a.Annotations["quote_1"] == "" || !a.EndsAt.After(a.StartsAt) {
			t.Errorf("shown as %+v", a)
		}
	}
	var groups []struct {
		Labels map[string]string
		Alerts []shown
	}
	for end := time.Now().Add(patience); len(groups) != 2 && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		am.get("/alerts/groups", &groups)
	}
	if len(groups) != 2 || groups[0].Labels["tenant"] == groups[1].Labels["tenant"] {
		t.Errorf("grouped as %+v, want one group a tenant", groups)
	}
	silence := fmt.Sprintf(`{"matchers":[{"name":"tenant","value":"acme","isRegex":false,"isEqual":true}],"startsAt":%q,"endsAt":%q,"createdBy":"test","comment":"test"}`,
		time.Now().UTC().Format(time.RFC3339), time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	if code, answer, err := post(am.url+"/api/v2/silences", "application/json", []byte(silence)); err != nil || code != http.StatusOK {
		t.Fatalf("silence: %d %s %v", code, answer, err)
	}
	am.until("one silenced", func(l []shown) bool {
		n := 0
		for _, a := range l {
			if a.Status.State == "suppressed" && a.Labels["tenant"] == "acme" {
				n++
			}
		}
		return n == 1 && len(l) == 2
	})
	// A rule that is taken away ends its alerts; Alertmanager no longer lists what is over.
	up.stop()
	up = startUp(t, dir, alertFiles(t, "rules: [{alert: Idle, detector: threshold, where: {words: [nobody says this]}}]", receivers)...)
	am.until("none left", func(l []shown) bool { return len(l) == 0 })
	up.stop()
}
