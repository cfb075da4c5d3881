package main

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// refreshes is how often a node has made its cache, and how often it could not, by its own word.
func refreshes(t *testing.T, r *running) (ok, failed string) {
	t.Helper()
	answer, err := http.Get(r.Gateway + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	of := func(result string) string {
		m := regexp.MustCompile(`earshot_cache_refreshes_total\{result="` + result + `"\} (\d+)`).FindSubmatch(b)
		if m == nil {
			return "0"
		}
		return string(m[1])
	}
	return of("ok"), of("failed")
}

// A node makes what is cached when things are at rest; named queries tell of now all the same, and of a while ago only to who
// says so. A node that is killed meanwhile leaves nothing wrong.
func TestNamedQueriesTellOfNowWhateverIsCached(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	r := startUp(t, dir, "EARSHOT_CACHE_EVERY=1s")
	said := 0
	say := func() {
		t.Helper()
		said++
		body := fmt.Sprintf(`{"id":"w%d","source":"/shop","tenant":"acme","customer":"c%d","channel":"support","text":"When will my parcel arrive? Please answer!"}`, said, said)
		if code, answer, err := post(r.Gateway+"/v1/feedback", "application/json", []byte(body)); err != nil || code != http.StatusAccepted {
			t.Fatalf("feedback: %d %s %v", code, answer, err)
		}
		eventually(t, "it is stored", func() bool { return ask(t, dir, "SELECT count() FROM feedback") == fmt.Sprint(said) })
	}
	due := func(args ...string) (rows int, stderr string) {
		t.Helper()
		stdout, stderr, code := output(t, earshot(t, dir, append([]string{"query", "--name", "due", "--format", "TSV"}, args...)...))
		if code != 0 {
			t.Fatalf("query ended with %d: %s", code, stderr)
		}
		return strings.Count(stdout, "\n"), stderr
	}
	say()
	cached := func(what string, want int) {
		t.Helper()
		eventually(t, what, func() bool { // nine times as long as making it takes, beside other tests
			n, stderr := due("--max-age", "1h")
			ok, _ := refreshes(t, r)
			return n == want && stderr == "" && ok != "0"
		})
	}
	cached("it is cached", 1)
	say()
	if n, stderr := due(); n != 2 || stderr != "" {
		t.Errorf("%d wait, want 2 and no word of its age: %s", n, stderr)
	}
	if n, stderr := due("--max-age", "1h"); n == 1 && !strings.HasPrefix(stderr, "As of ") {
		t.Errorf("%d wait, and it is said: %s", n, stderr) // it may have been made again by now
	}
	r.kill()
	r = startUp(t, dir, "EARSHOT_CACHE_EVERY=1s")
	say()
	if n, _ := due(); n != 3 {
		t.Errorf("after a kill %d wait, want 3", n)
	}
	cached("it is cached again", 3)
	for _, wrong := range [][]string{{"--max-age", "-5m", "--name", "due"}, {"--max-age", "5m", "SELECT 1"}, {"--max-age", "old", "--name", "due"}} {
		if _, _, code := output(t, earshot(t, dir, append([]string{"query"}, wrong...)...)); code != exitUsage {
			t.Errorf("query %v ended with %d", wrong, code)
		}
	}
	if _, failed := refreshes(t, r); failed != "0" {
		t.Errorf("%s refreshes failed: %s", failed, r.log.String())
	}
	r.stop()
}
