package clickhouse_test

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/schemas/sql"
)

// A story is the customer's own events and those that name nobody but share an id with them or belong to a case that was opened
// on one of them, each told once; the query asks for it in one way and the view in another, and this in a third.
func TestStoriesAreThoseOfTheEvents(t *testing.T) {
	s := open(t)
	rows := history(21, 1500, time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC))
	openOnLone(rows)
	for _, month := range byMonth(rows) {
		insert(t, s, month)
	}
	q, err := sql.Find("customer_story")
	if err != nil {
		t.Fatal(err)
	}
	var last time.Time
	for _, r := range rows {
		if r.Event.Time.After(last) {
			last = r.Event.Time
		}
	}
	shared, caused := 0, 0 // events told because of more than one id, and because of what their case was opened on
	for _, tenant := range []string{"acme", "globex", "solo"} {
		keys := busiest(rows, tenant, time.Time{})
		for i, key := range append([]string{"", "nobody"}, keys[:min(len(keys), 6)]...) {
			asked, whose := key, key
			if i == 0 {
				whose = busiest(rows, tenant, last.AddDate(0, 0, -30))[0]
			}
			want, ids, cause := story(rows, tenant, whose)
			shared, caused = shared+ids, caused+cause
			var out bytes.Buffer
			if err := s.Named(t.Context(), q, map[string]string{"tenant": tenant, "customer_key": asked}, "TSV", &out); err != nil {
				t.Fatal(err)
			}
			var got []string
			for line := range strings.Lines(out.String()) {
				fields := strings.Split(strings.TrimSpace(line), "\t")
				got = append(got, fields[len(fields)-1])
				if fields[len(fields)-2] != whose {
					t.Fatalf("%s: asked for %q, told of %q, want %q", tenant, asked, fields[len(fields)-2], whose)
				}
			}
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("query: %s %q has %d events, want %d", tenant, asked, len(got), len(want))
			}
			var view []string
			for _, r := range ask(t, s, fmt.Sprintf("SELECT event_id FROM customer_story WHERE tenant = '%s' AND customer_key = '%s'", tenant, whose)) {
				view = append(view, r["event_id"].(string))
			}
			if slices.Sort(view); !slices.Equal(view, want) {
				t.Errorf("view: %s %q has %d events, want %d", tenant, whose, len(view), len(want))
			}
		}
	}
	if shared == 0 {
		t.Error("no event shares two ids with a customer: this says nothing of telling it once")
	}
	if caused < 10 {
		t.Errorf("%d events are told because of what their case was opened on: this says little of them", caused)
	}
}

// openOnLone makes every seventh row a step of a case that names no other id and whose first step says what it was opened on;
// some of the cases name a customer of their own.
func openOnLone(rows []schemas.Row) {
	var buf []byte
	for i := range rows {
		r := &rows[i]
		if i%7 != 3 {
			continue
		}
		e := r.Event
		e.Data.CaseID, e.Data.ConversationID, e.Correlation, e.Causation = fmt.Sprintf("on%d", i/42), "", "", ""
		if i/42%6 > 0 {
			r.CustomerKey = ""
		}
		if i/7%6 == 0 {
			e.Kind = schemas.CaseOpened
			e.Type, e.Causation = e.Kind.Type(), fmt.Sprintf("/x#%d", (i*31)%len(rows)+1)
			e.Tenant = rows[(i*31)%len(rows)].Event.Tenant
		} else if first := i / 42 * 42; i > first {
			e.Tenant = rows[first+3].Event.Tenant
		}
		r.ID = e.Identity()
		buf = r.Seal(buf)
	}
}

// byMonth are the rows of each month, which is what one insert may hold.
func byMonth(rows []schemas.Row) map[string][]schemas.Row {
	out := map[string][]schemas.Row{}
	for _, r := range rows {
		m := r.Event.Time.Format("2006-01")
		out[m] = append(out[m], r)
	}
	return out
}

// busiest are the keys of a tenant's customers, the one with most events since then first, then by key.
func busiest(rows []schemas.Row, tenant string, since time.Time) []string {
	n := map[string]int{}
	for _, r := range rows {
		if r.Event.Tenant == tenant && r.CustomerKey != "" && !r.Event.Time.Before(since) {
			n[r.CustomerKey]++
		}
	}
	var keys []string
	for k := range n {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Or(cmp.Compare(n[b], n[a]), strings.Compare(a, b)) })
	return keys
}

// story are the ids of the events of one customer, sorted, how many of them share more than one id with the customer, and how
// many share none and are of a case that was opened on what the customer said.
func story(rows []schemas.Row, tenant, key string) (events []string, shared, caused int) {
	ids := func(r *schemas.Row) []string {
		list := []string{r.Event.Data.CaseID, r.Event.Data.ConversationID, r.Event.Correlation}
		slices.Sort(list)
		return slices.DeleteFunc(slices.Compact(list), func(id string) bool { return id == "" })
	}
	own, said, opened := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for i := range rows {
		if r := &rows[i]; r.Event.Tenant == tenant && r.CustomerKey == key {
			said[r.Event.Source+"#"+r.Event.ID] = true
			for _, id := range ids(r) {
				own[id] = true
			}
		}
	}
	for i := range rows {
		r := &rows[i]
		if e := r.Event; e.Tenant == tenant && e.Kind == schemas.CaseOpened && r.CustomerKey == "" && said[e.Causation] && e.Data.CaseID != "" {
			opened[e.Data.CaseID] = true
		}
	}
	for i := range rows {
		r := &rows[i]
		if r.Event.Tenant != tenant {
			continue
		}
		n, more := 0, 0
		for _, id := range ids(r) {
			if own[id] {
				n++
			} else if opened[id] {
				more++
			}
		}
		if r.CustomerKey == key || r.CustomerKey == "" && n+more > 0 {
			events = append(events, r.ID.String())
			switch {
			case r.CustomerKey == "" && n == 0:
				caused++
			case r.CustomerKey == "" && n > 1:
				shared++
			}
		}
	}
	slices.Sort(events)
	return events, shared, caused
}
