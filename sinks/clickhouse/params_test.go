package clickhouse_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/schemas/sql"
)

// strange are texts that ClickHouse's formats write otherwise than they are.
var strange = []string{`Tee\next`, `a\`, `\N`, `it's "so"`, "tab\there", "line\nbreak", "carriage\rreturn", "nul\x00byte", "\b\f\v", `\x41\u00e9\\`, "Größe 茶 👍", "{tenant:String}", " "}

// What is put in as a parameter is what the server compares with, wherever it stands.
func TestParametersArriveAsTheyAre(t *testing.T) {
	s := open(t)
	var rows []schemas.Row
	for i, word := range strange {
		rows = append(rows, answer(word, uint64(i+1), func(r *schemas.Row) {
			r.Event.Data.ProductID, r.Event.Data.Text = word, word
			r.Scores.CSAT = schemas.Score{Value: 1, Valid: true}
		}))
	}
	insert(t, s, rows)
	for _, word := range strange {
		got := named(t, s, "csat", map[string]string{"tenant": word, "product": word})
		if len(got) != 1 || fmt.Sprint(got[0]["n"]) != "1" || got[0]["tenant"] != word {
			t.Errorf("csat of %q: %v, want its one answer", word, got)
		}
		for _, typ := range []string{"String", "LowCardinality(String)", "Nullable( String )"} {
			if typ == "Nullable( String )" && word == `\N` {
				continue // NULL
			}
			var out bytes.Buffer
			err := s.Query(t.Context(), "SELECT { word : "+typ+" } AS word", map[string]string{"word": word}, "RawBLOB", &out)
			if err != nil || out.String() != word {
				t.Errorf("%s %q came back as %q, %v", typ, word, out.String(), err)
			}
		}
	}
	// These have quotes of their own, within which the escapes are.
	for _, c := range [][3]string{
		{"Array(String)", `['a\\b','it\'s','tab\there']`, "a\\b|it's|tab\there"},
		{"Map(String, String)", `{'k':'a\\b'}`, `a\b`},
		{"Tuple(String)", `('a\\b')`, `a\b`},
		{"Nullable(String)", `\N`, "null"},
	} {
		as := map[string]string{"Array(String)": "arrayStringConcat({x:%s}, '|')", "Map(String, String)": "{x:%s}['k']", "Tuple(String)": "tupleElement({x:%s}, 1)", "Nullable(String)": "ifNull({x:%s}, 'null')"}[c[0]]
		var out bytes.Buffer
		if err := s.Query(t.Context(), "SELECT "+fmt.Sprintf(as, c[0]), map[string]string{"x": c[1]}, "RawBLOB", &out); err != nil || out.String() != c[2] {
			t.Errorf("%s %s: got %q, %v, want %q", c[0], c[1], out.String(), err, c[2])
		}
	}
}

// Without a row to count, nothing in the SQL gets to throw at a value that it does not know; and a query that reads cached rows has another
// statement.
func TestBadParametersAreRefused(t *testing.T) {
	s := open(t)
	for _, cached := range []bool{false, true} {
		if cached {
			refreshed(t, s)
		}
		for _, q := range sql.Queries() {
			for _, p := range q.Params {
				bad := map[string]string{}
				switch {
				case p.Among != nil || p.Form != "":
					bad[p.Name] = "bogus"
				case p.Name == "from":
					bad["from"], bad["to"] = "2026-11-02 00:00:00", "2026-11-01 00:00:00"
				case p.Type == "UInt32":
					bad[p.Name] = "4294967296"
				default:
					continue
				}
				var out bytes.Buffer
				err := s.Named(t.Context(), q, bad, "TSV", &out)
				if err == nil || out.Len() > 0 || !strings.Contains(err.Error(), p.Name+" takes ") && !strings.Contains(err.Error(), "is after to") || strings.Contains(err.Error(), "code:") {
					t.Errorf("%s %v, cached %v: %q, %v, want what is allowed", q.Name, bad, cached, out.String(), err)
				}
			}
		}
	}
}
