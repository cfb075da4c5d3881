package clickhouse_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/schemas/sql"
	"github.com/earshot/earshot/sinks/clickhouse"
	"github.com/earshot/earshot/sinks/clickhouse/engine/enginetest"
)

func migrate(t *testing.T, s *clickhouse.Store) []clickhouse.Applied {
	t.Helper()
	done, err := s.Migrate(t.Context(), clickhouse.MigrateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func TestMigrateIsDoneOnce(t *testing.T) {
	s := bare(t)
	all := len(sql.Tables()) + len(sql.Views())
	if done := migrate(t, s); len(done) != all || done[0].Name != "feedback" {
		t.Errorf("first run applied %v, want all %d, feedback first", done, all)
	}
	if done := migrate(t, s); len(done) != 0 {
		t.Errorf("second run applied %v, want nothing", done)
	}
	status, err := s.Status(t.Context())
	if err != nil || len(status) != all {
		t.Fatalf("status has %d lines (%v), want %d", len(status), err, all)
	}
	for _, st := range status {
		if st.Status != "applied" || !st.Current || st.At.IsZero() {
			t.Errorf("%s is %+v", st.Name, st)
		}
	}
}

func TestDryRunPrintsAndChangesNothing(t *testing.T) {
	s := bare(t)
	var out bytes.Buffer
	planned, err := s.Migrate(t.Context(), clickhouse.MigrateOptions{DryRun: &out})
	if err != nil {
		t.Fatal(err)
	}
	if got := text(t, s, "SELECT count() FROM system.tables WHERE database = currentDatabase()"); got != "0\n" {
		t.Errorf("the dry run left %s tables", got)
	}
	for _, want := range []string{"CREATE TABLE IF NOT EXISTS feedback", "CREATE OR REPLACE VIEW theme_reach", "generation = 1"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the dry run does not print %q", want)
		}
	}
	if done := migrate(t, s); len(done) != len(planned) {
		t.Errorf("planned %d statements, applied %d", len(planned), len(done))
	}
	out.Reset()
	if planned, err := s.Migrate(t.Context(), clickhouse.MigrateOptions{DryRun: &out}); err != nil || len(planned) > 0 || out.Len() > 0 {
		t.Errorf("a dry run of a finished migration plans %v, prints %q (%v)", planned, out.String(), err)
	}
}

func TestChangedTableIsRefused(t *testing.T) {
	s := open(t)
	if err := clickhouse.Exec(t.Context(), s, "INSERT INTO schema_migrations (version, name, sha256, status) VALUES (1, 'feedback', 'abc', 'applied')"); err != nil {
		t.Fatal(err)
	}
	_, err := s.Migrate(t.Context(), clickhouse.MigrateOptions{})
	var drift *clickhouse.DriftError
	if !errors.As(err, &drift) {
		t.Fatalf("got %v, want a drift error", err)
	}
	for _, want := range []string{"feedback", "abc", sql.Tables()[0].SHA256} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %q: %v", want, err)
		}
	}
	if _, err := s.Migrate(t.Context(), clickhouse.MigrateOptions{DryRun: &bytes.Buffer{}}); !errors.As(err, &drift) {
		t.Errorf("the dry run says %v, want a drift error", err)
	}
}

func TestWhatIsUnfinishedChangedOrMissingIsDoneAgain(t *testing.T) {
	for _, c := range []struct {
		claim, statement, name, reason string
	}{
		{"a view whose text has changed", "INSERT INTO schema_migrations (version, name, sha256, status) VALUES (1009, 'nps', 'old', 'applied')", "nps", "changed"},
		{"a view that was dropped", "DROP VIEW nps", "nps", "missing"},
		{"a view whose creation failed", "INSERT INTO schema_migrations (version, name, sha256, status) SELECT version, name, sha256, 'failed' FROM schema_migrations WHERE version = 1009 LIMIT 1", "nps", "unfinished"},
		{"a table whose creation was cut off", "INSERT INTO schema_migrations (version, name, sha256, status) SELECT version, name, sha256, 'started' FROM schema_migrations WHERE version = 1 LIMIT 1", "feedback", "unfinished"},
	} {
		s := open(t)
		insert(t, s, generate(1, 20, 1))
		if err := clickhouse.Exec(t.Context(), s, c.statement); err != nil {
			t.Fatalf("%s: %v", c.claim, err)
		}
		done := migrate(t, s)
		if len(done) == 0 || done[0].Name != c.name || done[0].Reason != c.reason {
			t.Errorf("%s: applied %v, want %s first because it is %s", c.claim, done, c.name, c.reason)
		}
		if c.name == "nps" && len(done) != 1 {
			t.Errorf("%s: applied %d statements, want 1", c.claim, len(done))
		}
		if got := text(t, s, "SELECT count() FROM feedback_current"); got != "20\n" {
			t.Errorf("%s: %s rows are left, want 20", c.claim, got)
		}
		if done := migrate(t, s); len(done) != 0 {
			t.Errorf("%s: then applied %v, want nothing", c.claim, done)
		}
	}
}

func TestMissingTableIsNotCreatedInSilence(t *testing.T) {
	s := open(t)
	if err := clickhouse.Exec(t.Context(), s, "DROP TABLE feedback SYNC"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Migrate(t.Context(), clickhouse.MigrateOptions{}); err == nil || !strings.Contains(err.Error(), "restore it") {
		t.Errorf("got %v, want a refusal that says what to do", err)
	}
}

func TestMigratorsTakeTurns(t *testing.T) {
	dsn := enginetest.Start(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	total := 0
	for range 3 {
		s := connect(t, clickhouse.Config{DSN: dsn})
		wg.Go(func() {
			done, err := s.Migrate(context.Background(), clickhouse.MigrateOptions{})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			total += len(done)
			mu.Unlock()
		})
	}
	wg.Wait()
	if want := len(sql.Tables()) + len(sql.Views()); total != want {
		t.Errorf("three migrators applied %d statements in all, want each of %d once", total, want)
	}
}

func TestLockOfAnotherMigratorHolds(t *testing.T) {
	s := open(t)
	if err := clickhouse.Claim(t.Context(), s, "the other", true); err != nil {
		t.Fatal(err)
	}
	if done := migrate(t, s); len(done) > 0 {
		t.Errorf("applied %v; with nothing to do nobody is waited for", done)
	}
	drop := func() {
		if err := clickhouse.ExecAs(t.Context(), s, "drop", "DROP VIEW nps"); err != nil {
			t.Fatal(err)
		}
	}
	drop()
	if _, err := s.Migrate(t.Context(), clickhouse.MigrateOptions{Wait: time.Nanosecond}); err == nil || !strings.Contains(err.Error(), "the other") {
		t.Errorf("got %v, want an error that names the other", err)
	}
	if done, err := s.Migrate(t.Context(), clickhouse.MigrateOptions{Sole: true}); err != nil || len(done) != 1 {
		t.Errorf("alone on the directory: %v, %v; want the one view, whatever a dead process has claimed", done, err)
	}
	drop()
	if err := clickhouse.Claim(t.Context(), s, "the other", false); err != nil {
		t.Fatal(err)
	}
	if done := migrate(t, s); len(done) != 1 {
		t.Errorf("applied %v, want the one view", done)
	}
}

// A table from before gets the columns that were added; its rows read as rows of which nothing is known there, under the
// digests they were stored with.
func TestOldRowsSurviveNewColumns(t *testing.T) {
	s := open(t)
	rows := generate(3, 60, 1)
	for i := range rows {
		rows[i].Labels.Stage, rows[i].Labels.StageConfidence, rows[i].Labels.SentimentText, rows[i].Scores.RatingDisagrees = "", 0, "", false
		rows[i].Seal(nil)
	}
	insert(t, s, rows)
	for _, statement := range []string{
		"ALTER TABLE feedback DROP COLUMN stage, DROP COLUMN stage_confidence, DROP COLUMN sentiment_text, DROP COLUMN rating_disagrees",
		"INSERT INTO schema_migrations (version, name, sha256, status) SELECT version, name, sha256, 'started' FROM schema_migrations WHERE version = 20 LIMIT 1",
	} {
		if err := clickhouse.Exec(t.Context(), s, statement); err != nil {
			t.Fatal(err)
		}
	}
	if done := migrate(t, s); len(done) == 0 || done[0].Version != 20 || done[0].Name != "feedback" {
		t.Fatalf("applied %v, want the columns first", done)
	}
	got, _, err := s.Rows(t.Context(), schemas.Range{Epoch: epoch, Generation: 1, Lo: 1, Hi: 60}, 100, math.MaxInt)
	if err != nil || len(got) != len(rows) {
		t.Fatalf("%d rows (%v), want %d", len(got), err, len(rows))
	}
	for i := range got {
		if got[i].Seal(nil); got[i].Digest != rows[i].Digest || got[i].Labels.Stage != "" || got[i].Scores.RatingDisagrees {
			t.Errorf("row %d: %+v with digest %d, stored with %d", i, got[i].Labels, got[i].Digest, rows[i].Digest)
		}
	}
	if got := text(t, s, "SELECT countIf(stage = '' AND stage_confidence IS NULL AND sentiment_text = '' AND NOT rating_disagrees) FROM feedback_current"); got != "60\n" {
		t.Errorf("%s old rows read sensibly, want 60", got)
	}
}
