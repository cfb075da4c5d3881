package clickhouse

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/clickhouse/engine/enginetest"
)

// The list of columns and the table are written twice, in Go and in SQL; this holds them together.
func TestColumnsAreThoseOfTheTable(t *testing.T) {
	s, err := Open(t.Context(), Config{DSN: enginetest.Start(t), Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Migrate(t.Context(), MigrateOptions{}); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := s.Query(t.Context(), "SELECT name, type, comment FROM system.columns WHERE database = currentDatabase() AND table = 'feedback' ORDER BY position", nil, "JSONEachRow", &out); err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(&out)
	i := 0
	for ; dec.More(); i++ {
		var c struct{ Name, Type, Comment string }
		if err := dec.Decode(&c); err != nil {
			t.Fatal(err)
		}
		if i >= len(columns) {
			t.Errorf("the table has %s, the list ends before it", c.Name)
			continue
		}
		if c.Name != columns[i].name || c.Type != columns[i].typ {
			t.Errorf("column %d: the table has %s %s, the list %s %s", i, c.Name, c.Type, columns[i].name, columns[i].typ)
		}
		if c.Comment == "" {
			t.Errorf("column %s has no comment", c.Name)
		}
	}
	if i < len(columns) {
		t.Errorf("the table has %d columns, the list %d", i, len(columns))
	}
}

// What the view that everybody reads says of its columns is what the table says, also after a switch to another generation.
func TestColumnsOfTheCurrentRowsAreExplained(t *testing.T) {
	s, err := Open(t.Context(), Config{DSN: enginetest.Start(t), Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Migrate(t.Context(), MigrateOptions{}); err != nil {
		t.Fatal(err)
	}
	describe := func(object string) string {
		var out bytes.Buffer
		if err := s.Query(t.Context(), "SELECT name, type, comment FROM system.columns WHERE database = currentDatabase() AND table = '"+object+"' ORDER BY position", nil, "TSV", &out); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	want := describe("feedback")
	for _, generation := range []uint32{1, 2, 1} {
		if err := s.SetLive(t.Context(), generation); err != nil {
			t.Fatal(err)
		}
		if got := describe(currentView); got != want {
			t.Errorf("generation %d: the view's columns are\n%s\nthe table's\n%s", generation, got, want)
		}
		if shown, err := s.Shown(t.Context()); shown != generation || err != nil {
			t.Errorf("generation %d is live, %d is shown: %v", generation, shown, err)
		}
	}
}

// A column goes along as soon as one row has something for it, wherever that row stands, and the order of the table stays.
func TestColumnsThatNoRowFillsAreLeftOut(t *testing.T) {
	rows := make([]schemas.Row, 1000)
	for i := range rows {
		rows[i].Event = &schemas.Event{}
	}
	names := func() (out []string) {
		for _, c := range used(rows) {
			out = append(out, c.name)
		}
		return out
	}
	blank := names()
	rows[len(rows)-1].Event.Data.OrderID = "o-1"
	rows[0].Labels.Mentions = []schemas.Mention{{Theme: "late-delivery"}}
	amount := 3.0
	rows[500].Event.Data.CustomerValue = &amount
	filled := names()
	var want []string
	for i := range columns {
		name := columns[i].name
		if slices.Contains(blank, name) || name == "order_id" || name == "customer_value" || strings.HasPrefix(name, "mention_") {
			want = append(want, name)
		}
	}
	if !slices.Equal(filled, want) {
		t.Errorf("sent %q, want %q", filled, want)
	}
	if len(blank) == 0 || len(want) != len(blank)+10 {
		t.Errorf("rows without anything need %d columns, those filled %d: the test proves nothing", len(blank), len(want))
	}
}

func TestErrorTableNamesItsCodesAsTheServerDoes(t *testing.T) {
	s, err := Open(t.Context(), Config{DSN: enginetest.Start(t), Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	seen := map[int]bool{}
	for _, v := range append(rowVerdicts[:], verdicts[:]...) {
		if seen[v.code] {
			t.Errorf("code %d is in the table twice", v.code)
		}
		seen[v.code] = true
		if v.reason == "" {
			t.Errorf("code %d has no reason", v.code)
		}
		var name string
		if err := s.conn.QueryRow(t.Context(), "SELECT errorCodeToName($1)", v.code).Scan(&name); err != nil {
			t.Fatal(err)
		}
		if name != v.name {
			t.Errorf("code %d is %s to the server, %s in the table", v.code, name, v.name)
		}
	}
}
