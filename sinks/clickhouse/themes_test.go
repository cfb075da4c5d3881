package clickhouse_test

import (
	"errors"
	"math"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/schemas"
)

// Themes come back as they were written, the newest version of each tenant; of two that write a version at the same time
// one is told that it came too late, and nothing of it counts.
func TestThemesAreVersions(t *testing.T) {
	s := open(t)
	full := schemas.Theme{ID: "found-gift-card-1a2b", Name: "Gift cards that 'fail'", Named: true, Phrases: []string{"gift card", "礼品卡"}, Hidden: true, Into: "refund", Element: schemas.Service,
		Found: schemas.ThemeFigures{Until: start, Customers: 9, Recent: 5, Before: 4, Emergent: true, GrowthLow: 1.25, Chance: 0.001, LogOdds: 3.5}}
	first := schemas.ThemeBook{Version: 1, Themes: []schemas.Theme{full, {ID: "refund", Name: "Refunds", Named: true, Phrases: []string{}}}}
	save := func(tenant string, b schemas.ThemeBook) error { return s.SaveThemes(t.Context(), tenant, b) }
	if err := errors.Join(save("acme", first), save("globex", schemas.ThemeBook{Version: 1, Themes: first.Themes[1:]}), save("none", schemas.ThemeBook{Version: 1})); err != nil {
		t.Fatal(err)
	}
	got, err := s.Themes(t.Context())
	if err != nil || len(got) != 2 || !reflect.DeepEqual(got["acme"], first) {
		t.Fatalf("read %+v (%v), want %+v", got, err, first)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := []string{}
	for _, name := range []string{"a", "b", "c", "d"} {
		wg.Go(func() {
			err := save("acme", schemas.ThemeBook{Version: 2, Themes: []schemas.Theme{{ID: name, Name: name, Phrases: []string{name}}}})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won = append(won, name)
			case !errors.Is(err, schemas.ErrLost):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err = s.Themes(t.Context())
	b := got["acme"]
	if err != nil || b.Version != 2 || len(b.Themes) != 1 {
		t.Fatalf("after four writers at once: %+v (%v), want the themes of one", b, err)
	}
	// Who wrote first may have asked before a slower one with an earlier clock was there; whose themes count was told so.
	if len(won) == 0 || !contains(won, b.Themes[0].ID) {
		t.Errorf("%q were told that their version counts, but it is that of %s", won, b.Themes[0].ID)
	}
	if err := save("acme", schemas.ThemeBook{Version: 2, Themes: first.Themes}); !errors.Is(err, schemas.ErrLost) {
		t.Errorf("a version that is there was written: %v", err)
	}
}

func contains(list []string, x string) bool {
	for _, y := range list {
		if x == y {
			return true
		}
	}
	return false
}

func TestWhatCustomersSaidComesInOrder(t *testing.T) {
	s := open(t)
	said := func(seq uint64, set func(*schemas.Row)) schemas.Row {
		return answer("acme", seq, func(r *schemas.Row) {
			r.Event.Data.Text, r.Labels.Quality, r.Labels.Polarity = "text", schemas.QualityOK, schemas.Neutral
			set(r)
		})
	}
	rows := []schemas.Row{
		said(1, func(r *schemas.Row) { r.CustomerKey = "anna" }),
		said(2, func(r *schemas.Row) {
			r.Labels.Polarity = schemas.Negative
			r.Labels.Mentions = []schemas.Mention{{Element: schemas.Service, Theme: "late", End: 3, Polarity: -1}, {Theme: "found-x", Start: 1, End: 4}}
		}),
		said(3, func(r *schemas.Row) { r.Labels.Intent = schemas.ChurnNotice; r.CustomerKey = "bob" }),
		said(4, func(r *schemas.Row) { r.Event.Data.ActorKind = "agent" }),
		said(5, func(r *schemas.Row) { r.Labels.Quality = schemas.QualitySpam }),
		said(6, func(r *schemas.Row) { r.Event.Data.Text = "" }),
		said(7, func(r *schemas.Row) { r.Event.Tenant = "globex" }),
	}
	insert(t, s, rows)
	read := func(from, to time.Time, most int) (out []schemas.Said) {
		t.Helper()
		if err := s.Said(t.Context(), "acme", from, to, most, func(x schemas.Said) { out = append(out, x) }); err != nil {
			t.Fatal(err)
		}
		return out
	}
	want := []schemas.Said{
		{Customer: "anna", At: rows[0].Event.Time, Text: "text"},
		{Customer: rows[1].ID.String(), At: rows[1].Event.Time, Text: "text", Unhappy: true,
			Mentions: []schemas.Mention{{Element: schemas.Service, Theme: "late", End: 3}, {Theme: "found-x", Start: 1, End: 4}}},
		{Customer: "bob", At: rows[2].Event.Time, Text: "text", Unhappy: true},
	}
	if got := read(start, start.Add(time.Hour), math.MaxInt32); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := read(start, start.Add(time.Hour), 2); !reflect.DeepEqual(got, want[1:]) {
		t.Errorf("the newest two are %+v, want %+v", got, want[1:])
	}
	if got := read(rows[1].Event.Time, rows[2].Event.Time, 9); !reflect.DeepEqual(got, want[1:2]) {
		t.Errorf("between the second and the third: %+v, want %+v", got, want[1:2])
	}
	tenants, err := s.Speaking(t.Context(), start)
	if err != nil || !reflect.DeepEqual(tenants, []string{"acme", "globex"}) {
		t.Errorf("tenants %q (%v)", tenants, err)
	}
}
