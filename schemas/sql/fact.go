package sql

import (
	"regexp"
	"strings"
)

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
