package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// Reviews of a provider become rows; the cursor is in the log, so another process goes on where the first one was.
func TestPollingGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	var reviews, asked atomic.Int64
	reviews.Store(3)
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Apikey") != "the-key" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var list []string
		if r.URL.Query().Get("page") == "1" {
			for i := range reviews.Load() {
				list = append(list, fmt.Sprintf(`{"id":"r%d","stars":1,"text":"Parcel %d arrived crushed","createdAt":"2026-11-23T10:%02d:00Z","consumer":{"id":"c%d"}}`, i, i, i, i))
			}
		}
		fmt.Fprintf(w, `{"reviews":[%s]}`, strings.Join(list, ","))
	}))
	defer provider.Close()
	folder, dir := t.TempDir(), dataFolder(t)
	if err := os.WriteFile(filepath.Join(folder, "key"), []byte("the-key\n"), 0o400); err != nil {
		t.Fatal(err)
	}
	file := writeFile(t, filepath.Join(folder, "sources.json"), fmt.Sprintf(`{"sources":[{"channel":"trustpilot","name":"shop","tenant":"acme","account":"unit","url":%q,"secret_file":"key"}]}`, provider.URL))
	up := startUp(t, dir)
	for _, want := range []string{`"events":3`, `"events":0`, `"events":2`} {
		if want == `"events":2` {
			reviews.Store(5)
		}
		if _, stderr, code := output(t, earshot(t, dir, "poll", "--once", file)); code != 0 || !strings.Contains(stderr, want) || strings.Contains(stderr, "the-key") {
			t.Errorf("code %d, want %s: %s", code, want, stderr)
		}
	}
	if b := reconciled(t, dir); b != (balance{Accepted: 5, Stored: 5, Exact: true}) {
		t.Errorf("reconcile says %+v", b)
	}
	if got := ask(t, dir, "SELECT count(), min(rating) FROM feedback WHERE kind = 'review.published' AND source = '/trustpilot/shop'"); got != "5\t-1" {
		t.Errorf("stored are %s", got)
	}
	up.stop()
	for claim, c := range map[string]struct{ text, want string }{
		"a channel that cannot be polled": {`{"sources":[{"channel":"slack","name":"a","tenant":"t"}]}`, "cannot be polled"},
		"no sources":                      {`{"sources":[]}`, "no sources"},
		"one source twice":                {`{"sources":[{"channel":"github","name":"a","tenant":"t"},{"channel":"github","name":"a","tenant":"t"}]}`, "twice"},
		"a misspelt member":               {`{"sources":[{"chanel":"github"}]}`, "unknown field"},
		"a duration that is none":         {`{"sources":[{"channel":"github","name":"a","tenant":"t","every":"often"}]}`, "every"},
		"a secret that is not there":      {`{"sources":[{"channel":"github","name":"a","tenant":"t","secret_file":"none"}]}`, "read the secret"},
	} {
		_, stderr, code := output(t, earshot(t, dir, "poll", "--once", writeFile(t, file, c.text)))
		if code != exitFailed || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: code %d, %s", claim, code, stderr)
		}
	}
}
