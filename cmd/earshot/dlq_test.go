package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// engineSays runs a statement on the node's ClickHouse, as an operator would who goes behind the program's back.
func engineSays(t *testing.T, up *running, statement string) {
	t.Helper()
	resp, err := http.Post(up.Clickhouse+"/?database="+up.Database, "text/plain", strings.NewReader(statement))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", statement, answer)
	}
}

// letter is what 'earshot dlq list --json' says of one.
type letter struct {
	ID, State, Reason, Tenant, Channel, Detail string
	Code                                       int
	Sequence                                   uint64
	ReplayedAs                                 string `json:"replayed_as"`
	Former                                     string
	Mended                                     bool
}

// letters runs 'earshot dlq list --json' with the flags.
func letters(t *testing.T, dir string, flags ...string) []letter {
	t.Helper()
	stdout, stderr, code := output(t, earshot(t, dir, append([]string{"dlq", "list", "--json"}, flags...)...))
	if code != 0 {
		t.Fatalf("dlq list ended with %d: %s", code, stderr)
	}
	var out []letter
	for line := range strings.Lines(stdout) {
		var l letter
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		out = append(out, l)
	}
	return out
}

func states(ls []letter) (out []string) {
	for _, l := range ls {
		out = append(out, l.State)
	}
	return out
}

// An operator's day with dead letters: whatever is replayed, mended and discarded, every accepted event has one end.
func TestDeadLettersComeBackOrAreLaidAsideAndEverythingAddsUp(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	up := startUp(t, dir)
	engineSays(t, up, "ALTER TABLE feedback ADD CONSTRAINT wholesome CHECK NOT has(splitByChar(' ', text), 'poison')")
	for i, text := range []string{"Lovely.", "This is poison for me", "Late."} {
		if code, answer, err := post(up.Gateway+"/v1/events", "application/cloudevents+json", []byte(event(fmt.Sprint("e", i), text))); err != nil || code != http.StatusAccepted {
			t.Fatalf("%d %s %v", code, answer, err)
		}
	}
	nc, err := nats.Connect(up.Nats)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	broken := []string{"\x1b[2J not JSON \xff", `{"specversion":"1.0","id":"m1"}`}
	for _, body := range broken {
		if err := nc.PublishMsg(&nats.Msg{Subject: "feedback.in.acme.chat.feedback.received.k", Header: nats.Header{"X-Own": {"kept"}}, Data: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
	nc.Flush()
	if b := reconciled(t, dir); b != (balance{Accepted: 5, Stored: 2, Dead: 3, Exact: true}) {
		t.Fatalf("before anything is done: %+v", b)
	}

	ls := letters(t, dir)
	if len(ls) != 3 || !slices.Equal(states(ls), []string{"open", "open", "open"}) {
		t.Fatalf("listed: %+v", ls)
	}
	if l := ls[0]; l.Reason != "sink_rejection" || l.Code != 469 || l.Tenant != "acme" || l.Channel != "support" || !strings.Contains(l.Detail, "wholesome") {
		t.Errorf("the event that ClickHouse refused: %+v", l)
	}
	if got := letters(t, dir, "--reason", "parse_error", "--channel", "chat", "--since", "1h"); len(got) != 1 || got[0].ID != ls[1].ID {
		t.Errorf("filtered: %+v", got)
	}
	stdout, stderr, code := output(t, earshot(t, dir, "dlq", "list"))
	if code != 0 || !strings.HasSuffix(stdout, "3 dead letters: 3 open\n") || strings.Count(stdout, "\n") != 5 || strings.Contains(stdout, "\x1b") {
		t.Errorf("dlq list: %d %q %s", code, stdout, stderr)
	}
	if stdout, _, _ := output(t, earshot(t, dir, "dlq", "show", "0-4", "--body")); stdout != broken[0] {
		t.Errorf("--body prints %q, want the original bytes %q", stdout, broken[0])
	}
	stdout, _, _ = output(t, earshot(t, dir, "dlq", "show", ls[1].ID))
	for _, want := range []string{"parse_error", "X-Own: kept", "feedback.0.acme.chat.feedback.received", `\x1b[2J not JSON \xff`, "sequence 4"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("dlq show lacks %q:\n%s", want, stdout)
		}
	}

	// What ClickHouse refused is sent again when the rule is gone, and stored; a second replay finds nothing to do.
	engineSays(t, up, "ALTER TABLE feedback DROP CONSTRAINT wholesome")
	for _, want := range []string{"replayed 1, left as they are 0\n", "replayed 0, left as they are 0\n"} {
		if stdout, stderr, code := output(t, earshot(t, dir, "dlq", "replay", "--reason", "sink_rejection")); code != 0 || stdout != want {
			t.Errorf("dlq replay: %d %q %s, want %q", code, stdout, stderr, want)
		}
	}
	if b := reconciled(t, dir); b != (balance{Accepted: 6, Stored: 3, Dead: 3, Exact: true}) {
		t.Errorf("after the replay: %+v", b)
	}
	// What is broken dies again, as a letter of its own that knows what it was.
	if stdout, stderr, code := output(t, earshot(t, dir, "dlq", "replay", "0-4", "--json")); code != 0 || stdout != `{"left":0,"replayed":1}`+"\n" {
		t.Errorf("dlq replay of a broken one: %d %q %s", code, stdout, stderr)
	}
	if b := reconciled(t, dir); b != (balance{Accepted: 7, Stored: 3, Dead: 4, Exact: true}) {
		t.Errorf("after the broken one died again: %+v", b)
	}
	// Asking again sends nothing again: neither by name, nor the letter that the replay left behind, unless it is asked for.
	for _, c := range []struct {
		args           string
		code           int
		stdout, stderr string
	}{
		{"replay 0-4", 0, "replayed 0, left as they are 0\n", "0-4: nothing is done, it was replayed before, as 0-7\n"},
		{"replay 9-999 0-4", 1, "replayed 0, left as they are 0\n", "9-999: there is no such dead letter"},
		{"discard 0-999", 1, "discarded 0, left as they are 0\n", "0-999: there is no such dead letter"},
		{"discard 0-4", 0, "discarded 0, left as they are 0\n", "it was replayed before, as 0-7\n"},
		{"replay 0-5 --channel other", 0, "replayed 0, left as they are 0\n", "0-5: nothing is done, the other filters do not choose it\n"},
		{"replay --channel chat --sequence 7", 0, "replayed 0, left as they are 0\n", "left out: 1 dead letter whose event was replayed before and died again; --again takes them too\n"},
	} {
		stdout, stderr, code := output(t, earshot(t, dir, append([]string{"dlq"}, strings.Fields(c.args)...)...))
		if code != c.code || stdout != c.stdout || !strings.Contains(stderr, c.stderr) {
			t.Errorf("dlq %s: %d %q %q, want %d %q %q", c.args, code, stdout, stderr, c.code, c.stdout, c.stderr)
		}
	}
	ls = letters(t, dir)
	if !slices.Equal(states(ls), []string{"replayed", "replayed", "open", "open"}) || ls[3].Former != ls[1].ID || ls[1].ReplayedAs != ls[3].ID || ls[3].Sequence != 7 {
		t.Errorf("after the replays: %+v", ls)
	}
	// One is mended, one is laid aside.
	file := filepath.Join(t.TempDir(), "mended.json")
	if err := os.WriteFile(file, []byte(`{"specversion":"1.0","id":"m1"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := output(t, earshot(t, dir, "dlq", "replay", "--file", file, "0-5")); code != 1 || !strings.Contains(stderr, "still at fault") {
		t.Errorf("a half mended event: %d %s", code, stderr)
	}
	if err := os.WriteFile(file, []byte(event("m1", "Nobody answers.")), 0o600); err != nil {
		t.Fatal(err)
	}
	if stdout, stderr, code := output(t, earshot(t, dir, "dlq", "replay", "--file", file, "0-5")); code != 0 || !strings.Contains(stdout, "replayed 1") {
		t.Errorf("a mended event: %d %s%s", code, stdout, stderr)
	}
	if stdout, stderr, code := output(t, earshot(t, dir, "dlq", "replay", "--all", "--again")); code != 0 || stdout != "replayed 1, left as they are 0\n" {
		t.Errorf("dlq replay --again: %d %q %s", code, stdout, stderr)
	}
	if b := reconciled(t, dir); b != (balance{Accepted: 9, Stored: 4, Dead: 5, Exact: true}) {
		t.Errorf("after what had died twice died again: %+v", b)
	}
	if stdout, stderr, code := output(t, earshot(t, dir, "dlq", "discard", "--all")); code != 0 || stdout != "discarded 1, left as they are 0\n" {
		t.Errorf("dlq discard: %d %q %s", code, stdout, stderr)
	}
	if _, stderr, code := output(t, earshot(t, dir, "dlq", "replay", "0-9")); code != 0 || !strings.Contains(stderr, "it is discarded; --state discarded replays it") {
		t.Errorf("replay of a discarded one: %d %s", code, stderr)
	}
	if b := reconciled(t, dir); b != (balance{Accepted: 9, Stored: 4, Dead: 5, Exact: true}) {
		t.Errorf("in the end: %+v", b)
	}
	up.stop()
	if got := states(letters(t, dir)); !slices.Equal(got, []string{"replayed", "replayed", "replayed", "replayed", "discarded"}) { // with no node running
		t.Errorf("in the end the letters are %v", got)
	}
}

func TestMomentsAreDatesTimesOrAges(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"2026-11-01":           "2026-11-01T00:00:00Z",
		"2026-11-01T08:30":     "2026-11-01T08:30:00Z",
		"2026-11-01T08:00:00Z": "2026-11-01T08:00:00Z",
		"36h":                  "2026-11-22T00:00:00Z",
		"yesterday":            "",
		"-1h":                  "",
	} {
		got, err := parseMoment(text, now)
		if (err != nil) != (want == "") || err == nil && got.Format(time.RFC3339) != want {
			t.Errorf("%s: %v %v, want %s", text, got, err, want)
		}
	}
}
