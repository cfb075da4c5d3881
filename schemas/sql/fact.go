package sql

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// columnsMark stands in the statement of feedback_current for the list of the fact table's columns.
const columnsMark = "/*columns*/"

// columnLine finds a column in a statement that makes the fact table or adds to it: its name, its type, its comment in quotes, and
// the column it comes after; empty: the one before.
var columnLine = regexp.MustCompile(`(?m)^ {4}(?:ADD COLUMN IF NOT EXISTS )?(\w+) (\S.*?) COMMENT ('(?:[^'\\]|\\.)*')(?: CODEC\(.*?\))?(?: AFTER (\w+))?,?$`)

// factColumns is the list of the fact table's columns, in its order and with its comments, as the statement of a view has it. A
// view that is made without one has the columns too, but none of their comments; to plan a query takes as long with them.
func factColumns() string {
	type column struct{ name, text string }
	var columns []column
	for _, o := range Tables() {
		if o.Name != "feedback" {
			continue
		}
		for _, m := range columnLine.FindAllStringSubmatch(bare(o.SQL), -1) {
			at := len(columns)
			if m[4] != "" {
				at = 1 + slices.IndexFunc(columns, func(c column) bool { return c.name == m[4] })
			}
			columns = slices.Insert(columns, at, column{m[1], fmt.Sprintf("    %s %s COMMENT %s", m[1], m[2], m[3])})
		}
	}
	var b strings.Builder
	for i, c := range columns {
		b.WriteString(map[bool]string{true: "\n(\n", false: ",\n"}[i == 0] + c.text)
	}
	return b.String() + "\n)"
}

// ProjectionName is the name of the fact table's aggregate projection.
const ProjectionName = "hourly"

// projectionBody finds the projection's query in the statement of the fact table.
var projectionBody = regexp.MustCompile(`(?s)PROJECTION ` + ProjectionName + `\s*\(\s*(SELECT\s.*?)\s+GROUP BY\s+([^\n]+)\n\s*\)`)

// Projection returns the query of the fact table's projection in two halves, between which FROM and WHERE belong: what
// it selects, and its keys. Whoever compares rows and projection asks exactly for what the projection keeps.
func Projection() (selects, keys string) {
	m := projectionBody.FindStringSubmatch(read("tables/feedback.sql"))
	return m[1], strings.TrimSpace(m[2])
}

// setting is one assignment of a SETTINGS clause.
var setting = regexp.MustCompile(`(\w+) = '?([^',\s]+)'?`)

// Settings returns the settings with which the fact table is created, values as text and without quotes.
func Settings() map[string]string {
	_, clause, _ := strings.Cut(bare(read("tables/feedback.sql")), "\nSETTINGS")
	clause, _, _ = strings.Cut(clause, "\nCOMMENT")
	return ParseSettings(clause)
}

// ParseSettings reads assignments such as "a = 1, b = 'x'", as a SETTINGS clause or a server's account of a table has
// them.
func ParseSettings(clause string) map[string]string {
	out := map[string]string{}
	for _, m := range setting.FindAllStringSubmatch(clause, -1) {
		out[m[1]] = m[2]
	}
	return out
}
