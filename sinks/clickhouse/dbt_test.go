package clickhouse_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/earshot/earshot/schemas/sql"
)

var update = flag.Bool("update", false, "write the golden files anew")

// headComment is the first paragraph of the comment that a file begins with.
func headComment(statement string) string {
	var words []string
	for line := range strings.Lines(statement) {
		comment, ok := strings.CutPrefix(strings.TrimSpace(line), "--")
		if !ok || strings.TrimSpace(comment) == "" {
			break
		}
		words = append(words, strings.TrimSpace(comment))
	}
	return strings.Join(words, " ")
}

// dbtSources is what dbt has to know of the database: every table and view that analysts read, from the data dictionary.
func dbtSources(t *testing.T) string {
	var b strings.Builder
	b.WriteString("# Generated from the data dictionary: go test ./sinks/clickhouse -run Dbt -update\n" +
		"version: 2\nsources:\n  - name: earshot\n    description: What customers say, as Earshot stores it.\n" +
		"    schema: \"{{ var('earshot_database', 'earshot') }}\"\n    tables:\n")
	s := open(t)
	columns := map[string][]map[string]any{}
	for _, row := range ask(t, s, "SELECT * FROM data_dictionary") {
		columns[row["object"].(string)] = append(columns[row["object"].(string)], row)
	}
	objects := append(sql.Tables(), sql.Views()...)
	slices.SortStableFunc(objects, func(x, y sql.Object) int { return strings.Compare(x.Name, y.Name) })
	for _, o := range objects {
		if len(columns[o.Name]) == 0 {
			continue // a change of a table, not a table
		}
		fmt.Fprintf(&b, "      - name: %s\n        description: %q\n", o.Name, headComment(o.SQL))
		if o.Name == "feedback" {
			b.WriteString("        loaded_at_field: received_at\n        freshness:\n          warn_after: {count: 1, period: day}\n")
		}
		b.WriteString("        columns:\n")
		for _, c := range columns[o.Name] {
			fmt.Fprintf(&b, "          - name: %s\n            data_type: %q\n            description: %q\n", c["column"], c["type"], c["meaning"])
		}
		delete(columns, o.Name)
	}
	return b.String()
}

// The file for dbt says what the database says.
func TestDbtSourcesAreTheDataDictionary(t *testing.T) {
	const path = "../../deploy/dbt/sources.yml"
	want := dbtSources(t)
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the data dictionary says: go test ./sinks/clickhouse -run Dbt -update", path)
	}
	var parsed struct {
		Sources []struct {
			Tables []struct {
				Name, Description string
				Columns           []struct{ Name, Description string }
			}
		}
	}
	if err := yaml.Unmarshal(got, &parsed); err != nil {
		t.Fatal(err)
	}
	for _, table := range parsed.Sources[0].Tables {
		if table.Description == "" || len(table.Columns) == 0 {
			t.Errorf("%s has %d columns and the description %q", table.Name, len(table.Columns), table.Description)
		}
		for _, c := range table.Columns {
			if c.Description == "" {
				t.Errorf("%s.%s has no description", table.Name, c.Name)
			}
		}
	}
}
