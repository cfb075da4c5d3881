package clickhouse_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/schemas/sql"
	"github.com/earshot/earshot/sinks/clickhouse"
)

// Erasing leaves nothing in the cache, not even what is just being made.
func TestErasingEmptiesTheCache(t *testing.T) {
	s := cachedStore(t, 20, 40)
	refreshed(t, s)
	if err := clickhouse.Exec(t.Context(), s, "CREATE TABLE `"+s.Database()+"_cache`.loops_next_01234567 ENGINE = MergeTree ORDER BY () AS SELECT * FROM loops"); err != nil {
		t.Fatal(err)
	}
	tables := "SELECT count() FROM system.tables WHERE engine != 'View' AND database = currentDatabase() || '_cache'"
	if got := text(t, s, tables); got != fmt.Sprintln(len(sql.CachedTables())+1) {
		t.Fatalf("%s tables", got)
	}
	if err := s.Blank(t.Context(), []schemas.Trace{{Epoch: epoch, Shard: 0, Seq: 1_000_000}}); err != nil {
		t.Fatal(err)
	}
	if got := text(t, s, tables); got != "0\n" {
		t.Errorf("%s tables are left", got)
	}
	// Who drops it again and again while it is made ends the making, or finds it done; nothing of it stays.
	made := make(chan error, 1)
	go func() { made <- s.RefreshCache(context.WithoutCancel(t.Context())) }()
	var err error
	for drops := 0; ; drops++ {
		if dropped := s.DropCache(t.Context()); dropped != nil {
			t.Fatal(dropped)
		}
		select {
		case err = <-made:
		case <-time.After(time.Millisecond):
			continue
		}
		if err == nil || drops == 0 {
			t.Errorf("dropped %d times while it was made, the cache was made: %v", drops, err)
		}
		break
	}
	if err := s.DropCache(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := text(t, s, tables); got != "0\n" {
		t.Errorf("%s tables are left", got)
	}
	if n, answer := howMany(t, s, time.Hour); n == 0 || !answer.AsOf.IsZero() {
		t.Errorf("without a cache %d wait, as of %v", n, answer.AsOf)
	}
	refreshed(t, s)
}

// Whoever gives up in the midst of it, or does it beside others, leaves nothing behind, and what is there is whole.
func TestRefreshOfTheCacheIsCutOff(t *testing.T) {
	s := cachedStore(t, 20, 40)
	refreshed(t, s)
	for i := range 12 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+i*i*7)*time.Millisecond)
		if err := s.RefreshCache(ctx); err == nil && i < 3 {
			t.Errorf("done within %d ms", 1+i*i*7)
		}
		cancel()
		if look := cacheOf(t, s); !look.Whole || !look.Fresh {
			t.Errorf("cut off, the cache is %+v", look)
		}
	}
	var beside sync.WaitGroup
	for range 3 {
		beside.Go(func() {
			if err := s.RefreshCache(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	beside.Wait()
	if got := text(t, s, "SELECT name FROM system.tables WHERE database = currentDatabase() || '_cache' AND match(name, '_next_')"); got != "" {
		t.Errorf("left behind:\n%s", got)
	}
	refreshed(t, s)
}

// A cache that others have damaged is not used, and mended.
func TestDamagedCacheIsNotUsed(t *testing.T) {
	s := cachedStore(t, 20, 40)
	db := "`" + s.Database() + "_cache`."
	want, _ := howMany(t, s, 0)
	for what, damage := range map[string][]string{
		"a table dropped":            {"DROP TABLE " + db + "churn_scores"},
		"a table of others":          {"DROP TABLE " + db + "open_waits", "CREATE TABLE " + db + "open_waits (x UInt8) ENGINE = Memory"},
		"a part lost":                {"ALTER TABLE " + db + "open_waits DROP PARTITION tuple()"},
		"a comment of others":        {"ALTER TABLE " + db + "open_waits MODIFY COMMENT 'mine'"},
		"a time that is none":        {"ALTER TABLE " + db + "open_waits MODIFY COMMENT 'As of noon UTC, state 1'"},
		"a view of another program":  {"CREATE OR REPLACE VIEW " + db + "due AS SELECT 1 AS n"},
		"the whole database dropped": {"DROP DATABASE `" + s.Database() + "_cache` SYNC"},
	} {
		refreshed(t, s)
		for _, statement := range damage {
			if err := clickhouse.Exec(t.Context(), s, statement); err != nil {
				t.Fatal(what, err)
			}
		}
		if look := cacheOf(t, s); look.Whole || look.Fresh {
			t.Errorf("%s: the cache is %+v", what, look)
		}
		if n, answer := howMany(t, s, time.Hour); n != want || !answer.AsOf.IsZero() {
			t.Errorf("%s: %d wait, want %d", what, n, want)
		}
	}
	// A table that goes in the moment between the look and the question.
	refreshed(t, s)
	var due sql.CachedView
	for _, v := range sql.CachedViews(strings.TrimSuffix(db, ".")) {
		if v.Name == "due" {
			due = v
		}
	}
	for _, statement := range []string{"CREATE TABLE " + db + "gone AS " + db + "open_waits", strings.ReplaceAll(due.Create, db+"open_waits", db+"gone"), "DROP TABLE " + db + "gone SYNC"} {
		if err := clickhouse.Exec(t.Context(), s, statement); err != nil {
			t.Fatal(err)
		}
	}
	if look := cacheOf(t, s); !look.Fresh {
		t.Fatalf("the cache is %+v", look)
	}
	if n, _ := howMany(t, s, 0); n != want {
		t.Errorf("%d wait, want %d", n, want)
	}
}
