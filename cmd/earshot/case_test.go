package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// A complaint becomes a case, a decision, the customer's verdict by a link, and a rating; the link counts once, in a race and
// after a kill; the story tells it in order, by the customer's own name.
func TestALoopIsClosedFromTheCommandLine(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	r := startUp(t, dir)
	if code, answer, err := post(r.Gateway+"/v1/feedback", "application/json", []byte(`{"id":"r1","source":"/shop","tenant":"acme","customer":"ann@example.com","channel":"review",
		"rating":1,"text":"Parcel arrived crushed and nobody answered for three days. I will buy elsewhere."}`)); err != nil || code != http.StatusAccepted {
		t.Fatalf("feedback: %d %s %v", code, answer, err)
	}
	step := func(args ...string) string {
		t.Helper()
		stdout, stderr, code := output(t, earshot(t, dir, append([]string{"case"}, append(args, "--tenant", "acme")...)...))
		if code != 0 || !strings.Contains(stdout, "recorded: case c-1") {
			t.Fatalf("case %v ended with %d: %s%s", args, code, stdout, stderr)
		}
		m := regexp.MustCompile(`link for the customer: (\S+)`).FindStringSubmatch(stdout)
		if m == nil {
			return ""
		}
		return m[1]
	}
	step("open", "c-1", "--customer", "ann@example.com", "--channel", "support", "--about", "/shop#r1")
	step("respond", "c-1", "--text", "look at it tomorrow", "--visibility", "internal")
	step("respond", "c-1", "--text", "We are sorry, Ann.", "--agent", "bob")
	verdict := step("propose", "c-1", "--decision", "A new one today", "--id", "p1")
	again := step("propose", "c-1", "--decision", "A new one today", "--id", "p1") // may end a second later, but asks the same
	var all sync.WaitGroup
	answer := func(link string, form url.Values) {
		t.Helper()
		if code, page, err := post(link, "application/x-www-form-urlencoded", []byte(form.Encode())); err != nil || code != 200 || !bytes.Contains(page, []byte("Thank you")) {
			t.Errorf("answer %v: %d %s %v", form, code, page, err)
		}
	}
	for i := range 5 {
		all.Go(func() { answer([]string{verdict, again}[i%2], url.Values{"verdict": {"agree"}, "text": {"Fine"}}) })
	}
	all.Wait()
	step("decide", "c-1", "--outcome", "replace", "--promise", "2099-01-01T00:00:00Z")
	step("inform", "c-1", "--text", "A new one is under way")
	rate := step("resolve", "c-1")
	answer(rate, url.Values{"rating": {"5"}})
	r.kill()
	r = startUp(t, dir)
	at, err := url.Parse(verdict)
	if err != nil {
		t.Fatal(err)
	}
	answer(r.Gateway+at.Path, url.Values{"verdict": {"disagree"}}) // the key of links outlives the process, and so does the answer
	if b := reconciled(t, dir); !b.Exact || b.Stored != 10 || b.Duplicates != 6 || b.Dead != 0 {
		t.Errorf("balance %+v, want 10 stored, and 6 duplicates: one proposal and five answers", b)
	}
	if got := ask(t, dir, "SELECT verdict, outcome, kept IS NULL FROM decisions"); got != "agree\treplace\t1" {
		t.Errorf("decision: %q", got)
	}
	if got := ask(t, dir, "SELECT thread, loop_closed, initial_rating, follow_up_rating FROM cases"); got != "c-1\t1\t-1\t1" {
		t.Errorf("case: %q", got)
	}
	stdout, stderr, code := output(t, earshot(t, dir, "customer", "ann@example.com", "--tenant", "acme"))
	if code != 0 {
		t.Fatalf("customer ended with %d: %s", code, stderr)
	}
	place := -1
	for _, want := range []string{"feedback.received · review", "rated 1 on 1-5", "Parcel arrived crushed", "churn notice", "case.opened · support · c-1", "internal", "We are sorry, Ann.",
		"A new one today", "agree: Fine", "replace, promised by 2099-01-01", "A new one is under way", "case.resolved", "rated 5 on 1-5", "10 events"} {
		next := strings.Index(stdout, want)
		if next < place {
			t.Errorf("%q is missing or out of order in:\n%s", want, stdout)
		}
		place = next
	}
	if _, _, code := output(t, earshot(t, dir, "customer", "nobody", "--tenant", "acme")); code == 0 {
		t.Error("a customer who is not there has a story")
	}
	file := filepath.Join(t.TempDir(), "calendar.json")
	if err := os.WriteFile(file, []byte(`{"tenants":{"acme":{"time_zone":"Asia/Shanghai","hours":{"mon":["09:00-18:00"]},"targets":{"first_response":"2h"}}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"calendar", "check", file}, {"calendar", "set", file}, {"calendar", "show"}} {
		if stdout, stderr, code := output(t, earshot(t, dir, args...)); code != 0 || !strings.Contains(stdout, "Asia/Shanghai") {
			t.Errorf("%v ended with %d: %s%s", args, code, stdout, stderr)
		}
	}
	if got := ask(t, dir, "SELECT any(target_seconds), countIf(business_seconds != wall_seconds) <= 1 FROM response_times"); got != fmt.Sprint("7200\t1") {
		t.Errorf("after the calendar was set: %q", got)
	}
	r.stop()
}

func TestACaseIsRefusedWithAReason(t *testing.T) {
	dir := dataFolder(t)
	for _, c := range []struct {
		claim string
		args  []string
		code  int
		want  string
	}{
		{"no case", []string{"case", "open"}, exitUsage, "takes a step and a case"},
		{"no number", []string{"case", "rate", "c-1", "--rating", "good"}, exitUsage, "is no number"},
		{"a flag there is not", []string{"case", "open", "-c-1", "--url", "http://127.0.0.1:1"}, exitUsage, "not defined: -c-1"},
		{"a flag there is not, before the case", []string{"case", "open", "--colour", "c-1"}, exitUsage, "not defined: -colour"},
		{"a dash alone", []string{"case", "open", "-", "--url", "http://127.0.0.1:1"}, exitUsage, "- is no case"},
		{"two cases", []string{"case", "open", "c-1", "c-2", "--url", "http://127.0.0.1:1"}, exitUsage, "takes a step and a case"},
		{"a dash on purpose", []string{"case", "open", "--url", "http://127.0.0.1:1", "--", "-h"}, exitFailed, "/v1/cases/-h/open"},
		{"flags before the case", []string{"case", "open", "--url", "http://127.0.0.1:1", "c-1"}, exitFailed, "/v1/cases/c-1/open"},
		{"a text like a flag", []string{"case", "respond", "c-1", "--text", "-h", "--url", "http://127.0.0.1:1"}, exitFailed, "is the gateway running?"},
		{"nobody there", []string{"case", "open", "c-1", "--url", "http://127.0.0.1:1"}, exitFailed, "is the gateway running?"},
		{"no customer", []string{"customer"}, exitUsage, "takes one customer"},
		{"no file", []string{"calendar", "check", "/nowhere/calendar.json"}, exitFailed, "no such file"},
		{"no word", []string{"calendar"}, exitUsage, "takes set FILE"},
	} {
		if _, stderr, code := output(t, earshot(t, dir, c.args...)); code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: code %d, %s", c.claim, code, stderr)
		}
	}
}
