package main

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// threeWeeks are events of a tenant whose customers, in the third week, begin to speak of gift cards.
func threeWeeks() []byte {
	var b bytes.Buffer
	from := time.Date(2026, 10, 5, 8, 0, 0, 0, time.UTC)
	n := 0
	add := func(at time.Time, text string) {
		b.WriteByte("[,"[min(n, 1)])
		fmt.Fprintf(&b, `{"specversion":"1.0","id":"w%d","source":"/test/themes","type":"feedback.received.v1","time":%q,"tenantid":"acme","data":{"channel":"support","customer_id":"c%d","value_text":%q}}`,
			n, at.Format(time.RFC3339), n, text)
		n++
	}
	for day := range 21 {
		at := from.AddDate(0, 0, day)
		for i := range 6 {
			add(at.Add(time.Duration(i)*time.Minute), []string{"The parcel arrived two weeks late.", "Lovely jacket, thank you.", "The lamp is fine.",
				"Nobody answered my mail.", "Good quality, as pictured.", "The shop assistant was friendly."}[i])
		}
		if day >= 14 {
			add(at, "My gift card was declined at the till, what a mess.")
			add(at, "The app says that the gift card is declined. Terrible.")
		}
	}
	b.WriteByte(']')
	return b.Bytes()
}

// A theme that appears in the third week is found, gets a name from a person, is put on what comes next and, by a
// reclassification, on what is stored.
func TestDiscoveredThemesReachRows(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	up := startUp(t, dir)
	if code, body, err := post(up.Gateway+"/v1/events", batchType, threeWeeks()); err != nil || code != http.StatusAccepted {
		t.Fatalf("events: %d %s %v", code, body, err)
	}
	if b := reconciled(t, dir); !b.Exact || b.Stored != 140 {
		t.Fatalf("reconcile says %+v, want 140 stored", b)
	}
	themes := func(want int, args ...string) string {
		t.Helper()
		stdout, stderr, code := output(t, earshot(t, dir, append([]string{"themes"}, args...)...))
		if code != want {
			t.Fatalf("themes %v: code %d, want %d\n%s%s", args, code, want, stdout, stderr)
		}
		return stdout + stderr
	}
	said := themes(0, "discover", "--tenant", "acme", "--until", "2026-10-26")
	id := regexp.MustCompile(`(?m)^(found-gift-card\S*)\s+Gift card.*emergent, new\s+14\s+14\s+0\s`).FindStringSubmatch(said)
	if id == nil {
		t.Fatalf("discover says\n%s\nwant an emergent theme of gift cards with 14 customers", said)
	}
	themes(0, "name", "--tenant", "acme", id[1], "Gift cards that fail")
	if said := themes(0, "list", "--tenant", "acme"); !strings.Contains(said, "Gift cards that fail") {
		t.Errorf("list says\n%s", said)
	}
	if said := themes(1, "hide", "--tenant", "acme", "no-such-theme"); !strings.Contains(said, "earshot themes list") {
		t.Errorf("hiding what is not there: %s", said)
	}
	themes(exitUsage, "merge", "--tenant", "acme", id[1])
	up.stop()
	up = startUp(t, dir)
	if code, body, err := post(up.Gateway+"/v1/events", batchType, []byte("["+event("z1", "Two gift cards were refused, one gift card declined again.")+"]")); err != nil || code != http.StatusAccepted {
		t.Fatalf("an event after the restart: %d %s %v", code, body, err)
	}
	reconciled(t, dir)
	const marked = "SELECT count(), countIf(endsWith(model, '/themes-2')) FROM feedback_current WHERE has(mention_theme, '%s')"
	if got := ask(t, dir, fmt.Sprintf(marked, id[1])); got != "1\t1" {
		t.Errorf("rows with the theme and its version: %s, want the new one", got)
	}
	if stdout, stderr, code := output(t, earshot(t, dir, "reclassify")); code != 0 {
		t.Fatalf("reclassify: code %d\n%s%s", code, stdout, stderr)
	}
	if got := ask(t, dir, fmt.Sprintf(marked, id[1])); got != "15\t15" {
		t.Errorf("rows with the theme after the reclassification: %s, want 15", got)
	}
	if got := ask(t, dir, fmt.Sprintf("SELECT r.customers, t.name FROM theme_reach AS r INNER JOIN themes_current AS t ON t.tenant = r.tenant AND t.id = r.theme WHERE r.theme = '%s'", id[1])); got != "15\tGift cards that fail" {
		t.Errorf("reach: %s", got)
	}
	if b := reconciled(t, dir); !b.Exact || b.Stored != 141 {
		t.Errorf("at the end reconcile says %+v", b)
	}
	up.stop()
}
