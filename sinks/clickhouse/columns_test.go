package clickhouse

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/rs/zerolog"

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
