package main

import (
	"encoding/json"
	"testing"

	earshotsql "github.com/earshot/earshot/schemas/sql"
)

// Times on so few rows, beside other tests, mean nothing; that every query was asked does.
func TestBenchAsksEveryNamedQuery(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := output(t, earshot(t, dataFolder(t), "bench", "queries", "--events", "3000", "--rounds", "1", "--json"))
	var r queriesResult
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatalf("code %d and no JSON: %v\n%s%s", code, err, stdout, stderr)
	}
	if r.Events != 3000 || r.Rounds != 1 {
		t.Errorf("%d events and %d rounds, want 3000 and 1", r.Events, r.Rounds)
	}
	asked := map[string]int{}
	for _, q := range r.Queries {
		asked[q.Query]++
		if q.P50 <= 0 || q.P95 < q.P50 {
			t.Errorf("%s took %v, at most %v", q.Query, q.P50, q.P95)
		}
		if q.Rows == 0 && q.Query == "csat" {
			t.Errorf("%s by %q has no rows, so its time means nothing", q.Query, q.By)
		}
	}
	for _, q := range earshotsql.Queries() {
		if asked[q.Name] == 0 {
			t.Errorf("%s was not asked", q.Name)
		}
	}
	if asked["csat"] != 2 {
		t.Errorf("csat was asked %d times, want for all time and by week", asked["csat"])
	}
	if want := map[bool]int{true: exitOK, false: exitFailed}[len(r.slow()) == 0]; code != want {
		t.Errorf("exit code %d with %d slow queries, want %d", code, len(r.slow()), want)
	}
}

// What happened on one day is the same rows for the same number of events, in order of time, and all of that day.
func TestRowsOfAMeasurementAreTheSameAtEveryStart(t *testing.T) {
	first, err := newRowMaker(9000, benchStart)
	if err != nil {
		t.Fatal(err)
	}
	second, err := newRowMaker(9000, benchStart)
	if err != nil {
		t.Fatal(err)
	}
	made := 0
	for day := range rowsDays {
		a, b := first.day(day), second.day(day)
		for i := range a {
			if a[i].Digest != b[i].Digest || a[i].Event.Data.CaseID != b[i].Event.Data.CaseID {
				t.Fatalf("day %d, row %d differs", day, i)
			}
			if at := a[i].Event.Time; at.Before(benchStart.AddDate(0, 0, day)) || !at.Before(benchStart.AddDate(0, 0, day+1)) || i > 0 && at.Before(a[i-1].Event.Time) {
				t.Fatalf("day %d, row %d happened at %v", day, i, at)
			}
		}
		made += len(a)
	}
	if made != 9000 {
		t.Errorf("made %d rows, want 9000", made)
	}
}
