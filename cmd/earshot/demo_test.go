package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	earshotsql "github.com/earshot/earshot/schemas/sql"

	"github.com/earshot/earshot/schemas"
)

// counted says which column of a named query counts, and which hold its interval. A query of alerts asks by tenants.
type counted struct {
	n, low, high string
	params       []string
}

func countedQueries() map[string]counted {
	tenant := []string{"--tenant", demoTenant}
	tenants := []string{"--param", "tenants=['" + demoTenant + "']"}
	return map[string]counted{
		"alert_details":           {"customers", "", "", tenants},
		"alert_events":            {"at", "", "", tenants},
		"alert_history":           {"total", "", "", tenants},
		"alert_sources":           {"last_hour", "", "", nil},
		"alert_waiting":           {"total", "", "", tenants},
		"alert_window":            {"total", "", "", tenants},
		"ces":                     {"n", "mean_low", "mean_high", tenant},
		"churn_calibration":       {"now_in_band", "", "", tenant}, // what was imported today proves nothing of 30 days ago
		"churn_risk":              {"events", "", "", tenant},
		"csat":                    {"n", "csat_low", "csat_high", tenant},
		"customer_story":          {"score", "", "", tenant},
		"decisions":               {"proposal", "", "", tenant},
		"due":                     {"n", "", "", tenant},
		"feedback_latest":         {"body", "", "", tenant},
		"figures_over_time":       {"csat_n", "csat_low", "csat_high", tenant},
		"five_s":                  {"did_n", "did_low", "did_high", tenant},
		"impact":                  {"n", "impact_low", "impact_high", tenant},
		"importance_performance":  {"n", "impact_low", "impact_high", tenant},
		"kano":                    {"n", "penalty_low", "penalty_high", tenant},
		"loop":                    {"n", "low", "high", tenant},
		"needs":                   {"customers", "share_low", "share_high", tenant},
		"net_sentiment":           {"n", "net_low", "net_high", tenant},
		"nps":                     {"n", "nps_low", "nps_high", tenant},
		"resolution_time":         {"n", "median_low", "median_high", tenant},
		"response_time":           {"n", "median_low", "median_high", tenant},
		"satisfaction_by_element": {"n", "satisfaction_low", "satisfaction_high", tenant},
		"satisfaction_by_facet":   {"n", "satisfaction_low", "satisfaction_high", tenant},
		"satisfaction_by_s5":      {"n", "satisfaction_low", "satisfaction_high", tenant},
		"satisfaction_index":      {"n", "satisfaction_low", "satisfaction_high", tenant},
		"silent_customers":        {"dissatisfied", "silent_low", "silent_high", tenant},
		"sla":                     {"n", "hit_low", "hit_high", tenant},
		"speed_gap":               {"measured_n", "gap_low", "gap_high", tenant},
		"themes":                  {"customers", "share_low", "share_high", tenant},
		"volume_by_hour":          {"events", "", "", tenant},
		"worst_themes":            {"mentions", "negative_low", "negative_high", tenant},
	}
}

// Every named query says something of the demo's data: how many are behind a figure, and how sure it is. Only the alerts that
// were raised need not be there: nothing may have happened.
func TestEveryNamedQueryCountsSomethingInTheDemo(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	if stdout, stderr, code := output(t, earshot(t, dir, "demo", "--once")); code != 0 {
		t.Fatalf("demo --once ended with %d:\n%s%s", code, stdout, stderr)
	}
	up := startUp(t, dir)
	known := countedQueries()
	for _, q := range earshotsql.Queries() {
		c, ok := known[q.Name]
		if !ok {
			if q.Name == "alerts_latest" {
				c.params = []string{"--tenant", demoTenant}
			} else {
				t.Errorf("%s: countedQueries does not say which column counts", q.Name)
				continue
			}
		}
		args := append([]string{"query", "--format", "JSONEachRow", "--name", q.Name}, c.params...)
		stdout, stderr, code := output(t, earshot(t, dir, args...))
		if code != 0 {
			t.Errorf("%v ended with %d: %s", args, code, stderr)
			continue
		}
		if c.n == "" {
			continue
		}
		full, rows := 0, 0
		for d := json.NewDecoder(strings.NewReader(stdout)); d.More(); rows++ {
			var row map[string]any
			if err := d.Decode(&row); err != nil {
				t.Fatalf("%s: %v", q.Name, err)
			}
			if something(row[c.n]) && (c.low == "" || row[c.low] != nil && row[c.high] != nil) {
				full++
			}
		}
		if full == 0 {
			t.Errorf("%s: of %d rows none has %s and its interval: %.300s", q.Name, rows, c.n, stdout)
		}
	}
	// The whole loop is in it, not only its beginning.
	for _, kind := range []schemas.Kind{schemas.CaseOpened, schemas.CaseReopened, schemas.AgentResponded, schemas.DecisionProposed, schemas.DecisionAnswered,
		schemas.DecisionMade, schemas.CaseResolved, schemas.CustomerInformed, schemas.FollowupRated, schemas.ImprovementShipped, schemas.CustomerChurned, schemas.CustomerRetained} {
		if !strings.Contains(string(sampleShop), `"kind":"`+string(kind)+`"`) {
			t.Errorf("the invented shop has no %s", kind)
		}
	}
	for _, split := range [][]string{{"csat", "--by", "week"}, {"csat", "--param", "split=product"}, {"nps", "--by", "month"}, {"loop", "--by", "month"}, {"sla", "--by", "week"}} {
		args := append([]string{"query", "--format", "TSV", "--tenant", demoTenant, "--name"}, split...)
		if stdout, stderr, code := output(t, earshot(t, dir, args...)); code != 0 || strings.Count(stdout, "\n") < 3 {
			t.Errorf("%v ended with %d: %s%s", args, code, stdout, stderr)
		}
	}
	if _, stderr, code := output(t, earshot(t, dir, "query", "--name", "sla", "--by", "minute")); code == 0 || !strings.Contains(stderr, "by takes hour, day, week, month or all") {
		t.Errorf("a period that is not known: %d %s", code, stderr)
	}
	up.stop()
}

func something(v any) bool {
	switch v := v.(type) {
	case float64:
		return v != 0
	case string:
		return v != ""
	}
	return v != nil
}

// At whatever hour the demo starts, its shop works within its hours, a case keeps its order, and nothing is in the future.
func TestTheInventedShopKeepsItsHours(t *testing.T) {
	t.Parallel()
	list, err := deeds()
	if err != nil {
		t.Fatal(err)
	}
	for hour := range 7 * 24 {
		now := time.Date(2026, 10, 24, hour, 17, 0, 0, time.UTC) // over the end of summer time
		s, _, err := newShop(now)
		if err != nil {
			t.Fatal(err)
		}
		ids, last := map[string]bool{}, map[string]time.Time{}
		for i := range list {
			d := &list[i]
			e := s.event(d, false)
			if _, err := schemas.DecodeStructured(schemas.AppendStructured(nil, e), now); err != nil {
				t.Fatalf("%s: %v", d.ID, err)
			}
			if ids[d.ID] {
				t.Fatalf("%s comes twice", d.ID)
			}
			ids[d.ID] = true
			if e.Time.After(now) || d.Case != "" && e.Time.Before(last[d.Case]) {
				t.Fatalf("hour %d: %s at %v, now %v, before it in its case %v", hour, d.ID, e.Time, now, last[d.Case])
			}
			last[d.Case] = e.Time
			open := false
			for _, h := range s.hours {
				open = open || !e.Time.Before(h.Opens) && e.Time.Before(h.Closes.Add(time.Hour))
			}
			if d.By == "agent" && !open && e.Time.Before(now) {
				t.Fatalf("hour %d: %s at %v, when the shop is closed", hour, d.ID, e.Time)
			}
		}
	}
}
