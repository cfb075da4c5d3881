package clickhouse_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/earshot/earshot/schemas/sql"
)

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
