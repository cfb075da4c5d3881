package sql

import (
	"crypto/sha256"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// CachedTable is a view whose rows the store keeps as a table of the same name and columns in a database of its own, so that what takes
// long to make is not made for every question. Which rows a view has depends on what is stored and on nothing else: what depends on
// the time of asking as well is said by a view on top of it (see [CachedViews]).
type CachedTable struct {
	Name    string // of the view, and of the table
	columns string // with their comments, in parentheses
	order   string // by what the table is sorted
}

// cachedTables are the views that are kept as tables, each with what its table is sorted by: those that follow cases and
// conversations, score customers one by one, or compare two months of all of them.
var cachedTables = [...][2]string{
	{"loops", "tenant, thread"}, {"lone_waits", "tenant, at"}, {"wait_times", "tenant, started_at"}, {"cycle_times", "tenant, started_at"},
	{"open_waits", "tenant, waiting_since"}, {"first_waits", "tenant, asked_at"}, {"occasions", "tenant, occurred_at"},
	{"satisfaction_weights", "tenant, element"}, {"churn_scores", "tenant, band"}, {"customer_risk", "tenant, risk"},
	{"need_requests", "tenant, occurred_at"}, {"theme_decisions", "tenant, theme_id"}, {"theme_growth", "tenant, theme"},
	{"scored_answers", "tenant, occurred_at"}, {"double_deviations", "tenant, failed_at"},
}

// CachedTables lists the views that are kept as tables.
func CachedTables() []CachedTable {
	out := make([]CachedTable, len(cachedTables))
	for i, t := range cachedTables {
		columns, _ := parts(read("views/" + t[0] + ".sql"))
		out[i] = CachedTable{Name: t[0], columns: columns, order: t[1]}
	}
	return out
}

// Create is the statement that makes a table for the rows, by a name that may hold its database. What it holds is for the server's
// disk as for good, so that no power cut leaves a table with a part of its rows.
func (t CachedTable) Create(name string) string {
	return fmt.Sprintf("CREATE TABLE %s\n%s\nENGINE = MergeTree\nORDER BY (%s)\nSETTINGS fsync_after_insert = 1, fsync_part_directory = 1", name, t.columns, t.order)
}

// cachedViews are the views that add to cached tables what depends on the time of asking, or what is made of them in no time.
var cachedViews = [...]string{"decisions", "response_times", "case_cycles", "due", "first_answers", "conduct"}

// CachedView is a view on top of cached tables.
type CachedView struct {
	Name    string
	Create  string // the statement that makes it, with Comment
	Comment string // a hash of what it says, so that one of another program is known
}

// CachedViews are the views that are there once more in the database of the cached tables, reading those. database is its name.
func CachedViews(database string) []CachedView {
	out := make([]CachedView, len(cachedViews))
	for i, name := range cachedViews {
		columns, body := parts(read("views/" + name + ".sql"))
		statement := fmt.Sprintf("CREATE OR REPLACE VIEW %s.%s\n%s\nAS\n%s", database, name, columns, fromCache(body, database))
		comment := fmt.Sprintf("SHA-256 %x", sha256.Sum256([]byte(statement)))
		out[i] = CachedView{Name: name, Create: statement + "\nCOMMENT '" + comment + "'", Comment: comment}
	}
	return out
}

// FromCache is the query with the parameters given, reading cached rows, from the database of that name, in the place of views; ok
// says whether there is anything to be read there.
func (q Query) FromCache(params map[string]string, database string) (statement string, ok bool) {
	text := q.SQL
	if q.usual != nil && !slices.ContainsFunc(q.usual.unset, func(name string) bool { v, given := params[name]; return given && v != q.param(name).Default }) {
		text = q.usual.statement
	}
	statement = fromCache(text, database)
	return statement, statement != text
}

func (q Query) param(name string) Param {
	return q.Params[slices.IndexFunc(q.Params, func(p Param) bool { return p.Name == name })]
}

// usual is how a query is put to the cache where some of its parameters are as they are by default.
type usual struct {
	unset     []string // these parameters
	statement string
}

// usualLine is how a file of usual/ names the parameters: "-- usual channel, from, to"; none: whatever they are.
var usualLine = regexp.MustCompile(`(?m)^-- usual ?(.*)$`)

func findUsual(name string) *usual {
	b, err := files.ReadFile("usual/" + name + ".sql")
	if err != nil {
		return nil // most queries have none
	}
	text := string(b)
	names := strings.Split(usualLine.FindStringSubmatch(text)[1], ", ")
	return &usual{unset: slices.DeleteFunc(names, func(name string) bool { return name == "" }), statement: bare(text)}
}

// reading finds what a statement reads, with its alias; and arrays that are joined, which are not read from anywhere.
var reading = regexp.MustCompile(`\b(ARRAY )?(FROM|JOIN) (\w+)\b( AS \w+)?`)

func fromCache(statement, database string) string {
	return reading.ReplaceAllStringFunc(statement, func(s string) string {
		m := reading.FindStringSubmatch(s)
		array, from, name, alias := m[1] != "", m[2], m[3], m[4]
		if array || !cached(name) {
			return s
		}
		if alias == "" {
			alias = " AS " + name
		}
		return from + " " + database + "." + name + alias
	})
}

func cached(name string) bool {
	return slices.Contains(cachedViews[:], name) || slices.ContainsFunc(cachedTables[:], func(t [2]string) bool { return t[0] == name })
}

// parts takes a view's file apart: its columns in parentheses, and its SELECT.
func parts(text string) (columns, body string) {
	head, body, _ := strings.Cut(bare(text), "\nAS\n")
	return head[strings.IndexByte(head, '('):], body
}
