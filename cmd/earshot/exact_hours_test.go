package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// hourlyColumns are scores whose hourly count, sum and sum of squares are held against each other.
func hourlyColumns() []string {
	return []string{"score", "element_product", "element_service", "element_image", "facet_packaging", "facet_aftersale", "s5_speed", "s5_smile"}
}

// hours holds the hourly figures of the table against each other: from the projection, from the rows by ClickHouse, and from
// the rows by this program. query answers a statement with tab-separated text. It returns how many hours there are, and what
// differs.
func hours(query func(sql string) string) (n int, faults []string) {
	_, n, faults = hourly(query)
	return n, faults
}

// hourly is hours with the figures of the projection.
func hourly(query func(sql string) string) (projection map[string][]float64, n int, faults []string) {
	key := "generation, tenant, toStartOfHour(occurred_at) AS hour, channel, kind, actor_kind"
	figures := []string{"count()", "countIf(polarity = 'negative')", "countIf(polarity = 'neutral')", "countIf(polarity = 'positive')"}
	for _, c := range hourlyColumns() {
		figures = append(figures, "count("+c+")", "sum(toFloat64("+c+"))", "sum(toFloat64("+c+") * toFloat64("+c+"))")
	}
	grouped := "SELECT " + key + ", " + strings.Join(figures, ", ") + " FROM feedback GROUP BY generation, tenant, hour, channel, kind, actor_kind SETTINGS "
	projection = hourlyFigures(query(grouped + "force_optimize_projection_name = 'hourly', optimize_use_projections = 1"))
	raw := hourlyFigures(query(grouped + "optimize_use_projections = 0"))
	own := hourlyOracle(query("SELECT " + key + ", polarity, " + strings.Join(hourlyColumns(), ", ") + " FROM feedback SETTINGS optimize_use_projections = 0"))
	if len(own) == 0 {
		return nil, 0, []string{"there are no hours: nothing was compared"}
	}
	return projection, len(own), append(differences("projection", projection, own), differences("rows as ClickHouse counts them", raw, own)...)
}

// judgeTable is [judge] of the rows of a table, and holds its hourly figures against each other and their counts against the
// events themselves: hour tells of an event, by its id, in which hour it happened.
func judgeTable(t *testing.T, server, database string, accepted map[string]bool, sent func(id string) bool, hour func(id string) string) verdict {
	t.Helper()
	rows := rowsIn(t, server, database, "source_event_id")
	v := judge(t, rows, accepted, sent)
	projection, n, faults := hourly(func(sql string) string { return askServer(t, server, database, sql) })
	faults = append(faults, differences("projection against the events", totals(projection), countHours(rows, hour))...)
	for i, f := range faults {
		if i == 5 {
			t.Errorf("and %d more hours", len(faults)-i)
			break
		}
		t.Error(f)
	}
	t.Logf("%d rows in %d hours: the projection, the rows and the events agree: %v", len(rows), n, len(faults) == 0)
	return v
}

// totals adds the counts of an hour's groups.
func totals(figures map[string][]float64) map[string][]float64 {
	out := map[string][]float64{}
	for key, f := range figures {
		hour := strings.Join(strings.Fields(key)[2:4], " ") // after generation and tenant: date and time
		if out[hour] == nil {
			out[hour] = []float64{0}
		}
		out[hour][0] += f[0]
	}
	return out
}

// countHours counts events by hour.
func countHours(ids []string, hour func(id string) string) map[string][]float64 {
	out := map[string][]float64{}
	for _, id := range ids {
		h := hour(id)
		if out[h] == nil {
			out[h] = []float64{0}
		}
		out[h][0]++
	}
	return out
}

// eventHour is the hour of [event], and of what [outside.publish] sends.
func eventHour(id string) string { return fmt.Sprintf("2026-11-0%d 08:00:00", 1+len(id)%9) }

// hour is the hour of an event of the producer.
func (s *producer) hour(id string) string {
	n, err := strconv.Atoi(id)
	if err != nil {
		s.t.Fatal(err)
	}
	return fmt.Sprintf("2026-11-0%d 08:00:00", 1+n%9)
}

// keyFields is how many fields of an hour's line name it.
const keyFields = 6

// hourlyFigures reads hourly figures, by the fields that name the hour.
func hourlyFigures(tsv string) map[string][]float64 {
	out := map[string][]float64{}
	for line := range strings.Lines(tsv) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		key := strings.Join(fields[:keyFields], " ")
		for _, f := range fields[keyFields:] {
			out[key] = append(out[key], number(f))
		}
	}
	return out
}

// number reads a figure; a sum of nothing is NULL and counts as 0.
func number(s string) float64 {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil && s != `\N` {
		panic(fmt.Sprintf("%q is no number", s))
	}
	return n
}

// hourlyOracle counts hourly figures from rows. Scores are multiples of 1/128, so sums of them are exact in any order.
func hourlyOracle(tsv string) map[string][]float64 {
	out := map[string][]float64{}
	for line := range strings.Lines(tsv) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		key := strings.Join(fields[:keyFields], " ")
		if out[key] == nil {
			out[key] = make([]float64, 4+3*len(hourlyColumns()))
		}
		f := out[key]
		f[0]++
		if i := slices.Index([]string{"negative", "neutral", "positive"}, fields[keyFields]); i >= 0 {
			f[1+i]++
		}
		for i, score := range fields[keyFields+1:] {
			if score != `\N` {
				v := number(score)
				f[4+3*i]++
				f[5+3*i] += v
				f[6+3*i] += v * v
			}
		}
	}
	return out
}

// differences names the hours in which the figures are not the oracle's.
func differences(what string, got, want map[string][]float64) (faults []string) {
	all := maps.Clone(want)
	maps.Copy(all, got)
	for _, hour := range slices.Sorted(maps.Keys(all)) {
		if !slices.Equal(got[hour], want[hour]) {
			faults = append(faults, fmt.Sprintf("%s: %s: %v, want %v", what, hour, got[hour], want[hour]))
		}
	}
	return faults
}

func TestCountsThatAreNotThoseOfTheEventsAreFound(t *testing.T) {
	figures := map[string][]float64{
		"1 t 2026-11-02 08:00:00 email feedback.received customer": {2, 9}, "1 t 2026-11-02 08:00:00 web feedback.received customer": {1, 9},
		"1 t 2026-11-03 08:00:00 email feedback.received customer": {1, 9},
	}
	same := countHours([]string{"1", "2", "3", "14"}, eventHour)
	if d := differences("same", totals(figures), same); d != nil {
		t.Errorf("the same counts differ: %q", d)
	}
	for _, ids := range [][]string{{"1", "2", "14"}, {"1", "2", "3", "14", "15"}, {"1", "2", "34", "14"}, nil} {
		if d := differences("other", totals(figures), countHours(ids, eventHour)); d == nil {
			t.Errorf("events %v make no difference", ids)
		}
	}
}

func TestHourlyFiguresThatDifferAreFound(t *testing.T) {
	const head = "1\tt\t2026-08-01 10:00:00\temail\tfeedback.received\tcustomer\t"
	rows := head + "negative\t-0.5\t0.25" + strings.Repeat("\t\\N", len(hourlyColumns())-2) + "\n"
	want := hourlyOracle(rows + rows)
	hour := slices.Collect(maps.Keys(want))[0]
	if got := want[hour]; got[0] != 2 || got[1] != 2 || got[2] != 0 || got[5] != -1 || got[6] != 0.5 || got[8] != 0.5 || got[10] != 0 {
		t.Errorf("two rows make %v", got)
	}
	if d := differences("same", maps.Clone(want), want); d != nil {
		t.Errorf("the same figures differ: %q", d)
	}
	if d := differences("one row", hourlyOracle(rows), want); len(d) != 1 {
		t.Errorf("a missing row makes %q", d)
	}
	if d := differences("nothing", nil, want); len(d) != 1 {
		t.Errorf("a missing hour makes %q", d)
	}
}
