package clickhouse_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/schemas/sql"
	"github.com/earshot/earshot/sinks/clickhouse"
)

// cachedStore is a store with a calendar, cases of some years' end and what customers said until an hour ago, so that everything
// that is cached has rows.
func cachedStore(t *testing.T, threads, recently int) *clickhouse.Store {
	t.Helper()
	s := open(t)
	t.Cleanup(func() { dropCacheOf(t, s) })
	acmeHours(t, s)
	unambiguous(tell(11, threads)).store(t, s)
	var recent threadHistory
	for i, r := range generate(7, recently, 1_000_000) {
		r.Event.Time = time.Now().Add(-time.Duration(i+1) * time.Hour).UTC().Truncate(time.Millisecond)
		r.ReceivedAt = r.Event.Time
		if i%5 == 0 {
			r.Event.Correlation, r.Event.Causation, r.Event.Data.CaseID, r.Event.Data.ConversationID = "", "", "", ""
		}
		if i%7 == 0 {
			r.Event.Data.ActorKind, r.Event.Data.Text, r.Labels.Intent = "customer", "Please sell smaller boxes.", schemas.Request
		}
		if i%11 == 0 {
			r.Event.Kind, r.Event.Data.ActorKind, r.Event.Data.ThemeID, r.Event.Data.Outcome = schemas.DecisionMade, "agent", "cheese", "fix"
		}
		r.Seal(nil)
		recent = append(recent, r)
	}
	recent.store(t, s)
	return s
}

// dropCacheOf drops what a test has cached; the store's own database goes by itself.
func dropCacheOf(t *testing.T, s *clickhouse.Store) {
	t.Helper()
	if err := clickhouse.Exec(context.Background(), s, "DROP DATABASE IF EXISTS `"+s.Database()+"_cache` SYNC"); err != nil {
		t.Error(err)
	}
}

func cacheOf(t *testing.T, s *clickhouse.Store) clickhouse.CacheLook {
	t.Helper()
	look, err := s.Cache(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return look
}

func refreshed(t *testing.T, s *clickhouse.Store) {
	t.Helper()
	if err := s.RefreshCache(t.Context()); err != nil {
		t.Fatal(err)
	}
	if look := cacheOf(t, s); !look.Whole || !look.Fresh || look.Now.Sub(look.AsOf) > time.Minute {
		t.Fatalf("just refreshed, the cache is %+v", look)
	}
}

// What depends on the moment of asking may differ by the seconds between two of them.
var moving = []string{"waiting_seconds", "waiting_business_seconds", "overdue_seconds"}

// sameAnswer compares rows, as JSON has them, in their order.
func sameAnswer(t *testing.T, what string, live, cached []map[string]any) {
	t.Helper()
	if len(live) != len(cached) {
		t.Errorf("%s: %d rows from the views, %d from the cache", what, len(live), len(cached))
		return
	}
	for i := range live {
		for k, v := range live[i] {
			c := cached[i][k]
			a, number := v.(float64)
			b, other := c.(float64)
			if number && other && (math.Abs(a-b) <= 1e-9*math.Abs(a) || slices.Contains(moving, k) && math.Abs(a-b) <= 60) {
				continue
			}
			if truth, ok := c.(bool); ok && number {
				c = map[bool]float64{false: 0, true: 1}[truth] // a view's truths may come as numbers
			}
			if !reflect.DeepEqual(v, c) {
				t.Errorf("%s, row %d: %s is %v from the views, %v from the cache", what, i, k, v, c)
			}
		}
	}
}

// What is cached is what the views say: the rows, and the answers of all named queries.
func TestCacheSaysWhatTheViewsSay(t *testing.T) {
	s := cachedStore(t, 300, 1500)
	refreshed(t, s)
	t.Run("rows", func(t *testing.T) { sameRowsCached(t, s) })
	t.Run("answers", func(t *testing.T) { sameAnswersCached(t, s) })
}

// sameRowsCached holds every cached table and view against the view of its name, in columns, types and rows.
func sameRowsCached(t *testing.T, s *clickhouse.Store) {
	t.Helper()
	var names []string
	for _, c := range sql.CachedTables() {
		names = append(names, c.Name)
	}
	for _, c := range sql.CachedViews("x") {
		names = append(names, c.Name)
	}
	for _, name := range names {
		columns := "SELECT name, type, comment FROM system.columns WHERE table = '" + name + "' AND database = "
		live, cached := ask(t, s, columns+"currentDatabase() ORDER BY position"), ask(t, s, columns+"currentDatabase() || '_cache' ORDER BY position")
		if len(live) == 0 || !reflect.DeepEqual(live, cached) {
			t.Errorf("%s has the columns\n%v, in the cache\n%v", name, live, cached)
		}
		rows := func(of string) []map[string]any {
			return ask(t, s, "SELECT * FROM "+of+" ORDER BY toString(tuple(* EXCEPT "+"'^("+strings.Join(moving, "|")+")$'))")
		}
		a, b := rows(name), rows("`"+s.Database()+"_cache`."+name)
		if len(a) == 0 {
			t.Errorf("%s has no rows", name)
		}
		sameAnswer(t, name, a, b)
	}
}

// defaults are a query's parameters with those given.
func defaults(q sql.Query, params map[string]string) map[string]string {
	all := map[string]string{}
	for _, p := range q.Params {
		all[p.Name] = p.Default
	}
	maps.Copy(all, params)
	return all
}

// sameAnswersCached asks every named query both ways, whatever it is asked; and those that can read the cache do.
func sameAnswersCached(t *testing.T, s *clickhouse.Store) {
	t.Helper()
	var reads []string
	for _, q := range sql.Queries() {
		for _, params := range []map[string]string{{}, {"tenant": "acme"}, {"tenant": "acme", "by": "week"}, {"from": "2026-03-01 00:00:00", "by": "month"},
			{"channel": "chat", "from": "2026-03-01 00:00:00", "limit": "3"}, {"split": "channel", "by": "day", "tz": "Europe/Berlin", "overdue": "1", "risk": "0.2"},
			{"of": "s5", "level": "s5", "metric": "nps"}} {
			if !slices.ContainsFunc(q.Params, func(p sql.Param) bool { return params[p.Name] != "" }) && len(params) > 0 {
				continue
			}
			own := maps.Clone(params)
			maps.DeleteFunc(own, func(name, _ string) bool {
				return !slices.ContainsFunc(q.Params, func(p sql.Param) bool { return p.Name == name })
			})
			all := defaults(q, own)
			statement, ok := q.FromCache(all, s.Database()+"_cache")
			if !ok {
				continue
			}
			if !slices.Contains(reads, q.Name) {
				reads = append(reads, q.Name)
			}
			var live, cached bytes.Buffer
			if err := s.Query(t.Context(), q.SQL, all, "JSONEachRow", &live); err != nil {
				t.Fatal(q.Name, err)
			}
			if err := s.Query(t.Context(), statement, all, "JSONEachRow", &cached); err != nil {
				t.Fatal(q.Name, err)
			}
			sameAnswer(t, fmt.Sprint(q.Name, own), decode(t, &live), decode(t, &cached))
		}
	}
	want := []string{"satisfaction_index", "five_s", "speed_gap", "due", "response_time", "resolution_time", "sla", "loop", "decisions", "churn_risk", "churn_calibration", "needs", "themes", "impact", "importance_performance", "kano"}
	if !slices.Equal(reads, want) {
		t.Errorf("read the cache: %q, want %q", reads, want)
	}
}

// howMany is what the query due says of how many wait.
func howMany(t *testing.T, s *clickhouse.Store, maxAge time.Duration) (int, clickhouse.Answer) {
	t.Helper()
	q, err := sql.Find("due")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	answer, err := s.NamedWithin(t.Context(), q, map[string]string{"from": "2000-01-01 00:00:00", "limit": "100000"}, maxAge, "JSONEachRow", &out)
	if err != nil {
		t.Fatal(err)
	}
	return len(decode(t, &out)), answer
}

// Whatever changes an answer makes the cache stale at once, and merges do not.
func TestCacheKnowsWhenItIsStale(t *testing.T) {
	s := cachedStore(t, 20, 40)
	if look := cacheOf(t, s); look.Whole || look.Fresh {
		t.Errorf("nothing was cached, and the cache is %+v", look)
	}
	refreshed(t, s)
	was, answer := howMany(t, s, 0)
	if was == 0 || !answer.AsOf.IsZero() {
		t.Errorf("%d wait, as of %v", was, answer.AsOf)
	}
	merge(t, s)
	if look := cacheOf(t, s); !look.Fresh {
		t.Errorf("parts were merged, and the cache is %+v", look)
	}
	next := uint64(5_000_000)
	for what, change := range map[string]func() error{
		"a row": func() error {
			next++
			r := stillWaits(next)
			return s.Insert(t.Context(), []schemas.Row{r}, fmt.Sprint("new ", next))
		},
		"a calendar": func() error {
			c := clickhouse.Calendar{Tenant: "globex", Zone: "UTC", Wall: true, Definition: "{}"}
			return s.SetCalendar(t.Context(), &c)
		},
		"a generation": func() error {
			return clickhouse.Exec(t.Context(), s, "INSERT INTO generations (generation, state, change) VALUES (2, 'building', 1)")
		},
		"a view": func() error {
			return clickhouse.Exec(t.Context(), s, sql.Live(1))
		},
		"rows that changed": func() error {
			return clickhouse.Exec(t.Context(), s, "ALTER TABLE feedback UPDATE text = 'x' WHERE seq = 1000001 SETTINGS mutations_sync = 2")
		},
		"rows that are gone": func() error {
			return clickhouse.Exec(t.Context(), s, "DELETE FROM feedback WHERE seq = 1000002")
		},
	} {
		if err := change(); err != nil {
			t.Fatal(what, err)
		}
		if look := cacheOf(t, s); !look.Whole || look.Fresh {
			t.Errorf("%s: the cache is %+v, want it whole and stale", what, look)
		}
		refreshed(t, s)
	}
	if err := s.Insert(t.Context(), []schemas.Row{stillWaits(6_000_000)}, "last"); err != nil {
		t.Fatal(err)
	}
	now, answer := howMany(t, s, 0)
	if !answer.AsOf.IsZero() {
		t.Errorf("a stale cache was read: as of %v", answer.AsOf)
	}
	old, answer := howMany(t, s, time.Hour)
	if answer.AsOf.IsZero() || old != now-1 {
		t.Errorf("%d wait now, %d within the hour, as of %v", now, old, answer.AsOf)
	}
	if n, answer := howMany(t, s, time.Nanosecond); n != now || !answer.AsOf.IsZero() {
		t.Errorf("%d wait within a nanosecond, as of %v, want %d now", n, answer.AsOf, now)
	}
}

// stillWaits is a text that waits for an answer.
func stillWaits(seq uint64) schemas.Row {
	return answer("acme", seq, func(r *schemas.Row) {
		r.Event.Time = time.Now().Add(-5 * time.Hour).Truncate(time.Millisecond)
		r.Event.Data.Text, r.Labels.ResponseNeeded, r.ReceivedAt = "Hello?", true, r.Event.Time
		r.Labels.Polarity, r.Labels.Intent = schemas.Neutral, schemas.Request
	})
}

// While rows are being changed nothing is cached and nothing that is counts; and a change that was broken off half-way stays one.
func TestCacheWhileRowsChange(t *testing.T) {
	s := cachedStore(t, 20, 40)
	refreshed(t, s)
	before := cacheOf(t, s).State
	exec := func(statement string) {
		t.Helper()
		if err := clickhouse.Exec(t.Context(), s, statement); err != nil {
			t.Fatal(err)
		}
	}
	// In March it can never be done; in the other months it is.
	exec("ALTER TABLE feedback UPDATE response_needed = false, text = 'gone' WHERE NOT throwIf(toMonth(occurred_at) = 3) SETTINGS mutations_sync = 0")
	for deadline := time.Now().Add(5 * time.Minute); text(t, s, "SELECT count() FROM feedback WHERE text = 'gone' AND toMonth(occurred_at) != 3") == "0\n"; {
		if time.Now().After(deadline) {
			t.Fatal("nothing was changed")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if look := cacheOf(t, s); !look.Busy || look.Fresh || !look.Whole {
		t.Errorf("in the midst of a change the cache is %+v", look)
	}
	if err := s.RefreshCache(t.Context()); !errors.Is(err, clickhouse.ErrUnsettled) {
		t.Errorf("made in the midst of a change: %v", err)
	}
	exec("KILL MUTATION WHERE database = currentDatabase() AND table = 'feedback' SYNC")
	if look := cacheOf(t, s); look.Busy || look.Fresh || look.State == before {
		t.Errorf("after a change that was broken off the cache is %+v, its state was %s", look, before)
	}
	refreshed(t, s)
}

// Nobody knows how old a table is that is of the future, as all are when the server's clock was set back.
func TestCacheOfTheFutureIsNotUsed(t *testing.T) {
	s := cachedStore(t, 20, 40)
	refreshed(t, s)
	old := cacheOf(t, s).State
	if err := s.Insert(t.Context(), []schemas.Row{stillWaits(6_000_000)}, "last"); err != nil {
		t.Fatal(err)
	}
	for _, c := range sql.CachedTables() {
		name := "`" + s.Database() + "_cache`." + c.Name
		rows := strings.TrimSpace(text(t, s, "SELECT count() FROM "+name))
		comment := fmt.Sprintf("As of %s UTC, state %s, %s rows", time.Now().Add(20*time.Minute).UTC().Format("2006-01-02 15:04:05.000"), old, rows)
		if err := clickhouse.Exec(t.Context(), s, "ALTER TABLE "+name+" MODIFY COMMENT '"+comment+"'"); err != nil {
			t.Fatal(err)
		}
	}
	if look := cacheOf(t, s); !look.Whole || look.Fresh {
		t.Fatalf("the cache is %+v", look)
	}
	want, _ := howMany(t, s, 0)
	for _, age := range []time.Duration{0, time.Hour} {
		if n, answer := howMany(t, s, age); n != want || !answer.AsOf.IsZero() {
			t.Errorf("within %v %d wait, as of %v; now %d do", age, n, answer.AsOf, want)
		}
	}
	if text := text(t, s, "SELECT count() FROM `"+s.Database()+"_cache`.open_waits"); text == fmt.Sprintln(want) {
		t.Error("the cache is not stale, so nothing was tested")
	}
}

// The state of the cache is made of all tables that its rows come from: what the views read, and what these read, down to tables;
// and nothing on the way depends on the moment.
func TestCacheDependsOnWhatItIsMadeOf(t *testing.T) {
	views := map[string]string{}
	for _, v := range sql.Views() {
		views[v.Name] = v.SQL
	}
	var bases []string
	seen := map[string]bool{}
	var follow func(name string)
	follow = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		text, ok := views[name]
		if !ok {
			if slices.ContainsFunc(sql.Tables(), func(o sql.Object) bool { return o.Name == name }) {
				bases = append(bases, name)
			}
			return
		}
		if clock := regexp.MustCompile(`\b(?:now|now64|today|yesterday|nowInBlock|rand\w*|generateUUID\w*)\(`).FindString(text); clock != "" {
			t.Errorf("%s calls %s): what is cached of it would not stay what it says", name, clock)
		}
		for _, m := range regexp.MustCompile(`\b(?:FROM|JOIN|IN) \(?(?:SELECT [^()]* FROM )?(\w+)`).FindAllStringSubmatch(text, -1) {
			follow(m[1])
		}
	}
	for _, c := range sql.CachedTables() {
		follow(c.Name)
	}
	slices.Sort(bases)
	for _, b := range bases {
		if !slices.Contains(clickhouse.CacheBases(), b) {
			t.Errorf("what is cached comes from the table %s as well, and its state does not", b)
		}
	}
	if len(bases) < 3 {
		t.Errorf("found %q only", bases)
	}
}
