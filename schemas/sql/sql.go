// Package sql holds the statements that make the store and the questions that are asked of it, one object a file: the
// tables and their projections, the views analysts read, and the named queries.
//
// An event does not pass through this package; its row does, later: into the table of tables/feedback.sql, and out again
// through views/ and queries/. Every file opens with a comment that says why the object is as it is. Views read only the
// generation that is live, through the one view feedback_current, so that one statement switches all of them at once.
//
// The package refuses to talk to a database: it hands out text. A statement is safe to run twice (IF NOT EXISTS, OR
// REPLACE), because a migration that was cut off between the statement and its record is run again.
package sql

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

//go:embed tables/*.sql views/*.sql queries/*.sql
var files embed.FS

// Object is one table or view.
type Object struct {
	Version uint32 // order of creation, and the number under which it is recorded; never reused
	Name    string // of the table or view
	Path    string // of its file, such as "views/mentions.sql"
	SQL     string // one statement, with its comments
	SHA256  string // of the statement without comment lines and surrounding space, hex
}

// Bookkeeping lists the tables in which migrations are recorded and locked. They have no version: they are created,
// where missing, before anything can be recorded.
func Bookkeeping() []Object {
	return []Object{object(0, "tables/schema_migrations.sql"), object(0, "tables/schema_lock.sql")}
}

// Tables lists the versioned tables in the order of creation. An applied one never changes: a change is a new file with
// a new version.
func Tables() []Object {
	return []Object{
		object(1, "tables/feedback.sql"),
	}
}

// Probe is the table on which rows are tried out. It is no part of the migrations: whoever tries rows makes it anew.
func Probe() Object { return object(0, "tables/feedback_probe.sql") }

// Views lists the views in the order of creation, each after those it reads. A view holds no data, so a changed one is
// simply created again.
func Views() []Object {
	return []Object{
		object(1001, "views/feedback_current.sql"),
		object(1002, "views/mentions.sql"),
		object(1003, "views/satisfaction_hourly.sql"),
		object(1004, "views/satisfaction_daily.sql"),
		object(1005, "views/satisfaction_by_element.sql"),
		object(1006, "views/satisfaction_by_facet.sql"),
		object(1007, "views/satisfaction_by_s5.sql"),
		object(1008, "views/csat.sql"),
		object(1009, "views/nps.sql"),
		object(1010, "views/ces.sql"),
		object(1011, "views/theme_reach.sql"),
		object(1012, "views/needs_response.sql"),
		object(1013, "views/data_dictionary.sql"),
	}
}

// liveMark stands before the generation in the statement of feedback_current; the file as it is means generation 1.
const liveMark = "/*live*/"

// Live returns the statement of feedback_current for a generation.
func Live(generation uint32) string {
	o := object(1001, "views/feedback_current.sql")
	return o.WithLive(generation)
}

// WithLive returns the object's statement with the live generation in the place marked for it, if it has one.
func (o Object) WithLive(generation uint32) string {
	return strings.ReplaceAll(o.SQL, liveMark+"1", strconv.FormatUint(uint64(generation), 10))
}

// Param is a parameter of a named query, used in its SQL as {Name:Type}.
type Param struct {
	Name    string
	Type    string // a ClickHouse type
	Default string // as text; see [Query] for required ones
	Doc     string
}

// Query is a named question.
type Query struct {
	Name   string
	Doc    string // what it answers
	Params []Param
	SQL    string // one SELECT
}

// queryNames is the order in which queries are listed: what most people ask first comes first.
var queryNames = [...]string{"satisfaction_by_element", "satisfaction_by_facet", "satisfaction_by_s5", "worst_themes",
	"feedback_latest", "volume_by_hour"}

// Queries lists the named queries. Every parameter has a default, so that each can be run as it is.
func Queries() []Query {
	out := make([]Query, len(queryNames))
	for i, name := range queryNames {
		out[i] = parseQuery(name, read("queries/"+name+".sql"))
	}
	return out
}

// Find returns the named query; the error lists the names there are.
func Find(name string) (Query, error) {
	for _, n := range queryNames {
		if n == name {
			return parseQuery(n, read("queries/"+n+".sql")), nil
		}
	}
	return Query{}, fmt.Errorf("no query is named %q: choose one of %s", name, strings.Join(queryNames[:], ", "))
}

// paramLine is how a query's header declares a parameter: "-- param tenant String = default: whose customers".
var paramLine = regexp.MustCompile(`^param (\w+) (\S+(?:\([^)]*\))?) = (.*?): (.+)$`)

// parseQuery takes a query file apart: comment lines at its head are the doc and the parameters, the rest is the SQL.
func parseQuery(name, text string) Query {
	q := Query{Name: name}
	var doc []string
	for line := range strings.Lines(text) {
		comment, ok := strings.CutPrefix(strings.TrimSpace(line), "--")
		if !ok || q.SQL != "" {
			q.SQL += line
			continue
		}
		comment = strings.TrimSpace(comment)
		if m := paramLine.FindStringSubmatch(comment); m != nil {
			q.Params = append(q.Params, Param{Name: m[1], Type: m[2], Default: m[3], Doc: m[4]})
		} else if comment != "" {
			doc = append(doc, comment)
		}
	}
	q.Doc = strings.Join(doc, " ")
	q.SQL = strings.TrimSpace(q.SQL)
	return q
}

func object(version uint32, path string) Object {
	text := read(path)
	name := strings.TrimSuffix(path[strings.IndexByte(path, '/')+1:], ".sql")
	sum := sha256.Sum256([]byte(bare(text)))
	return Object{Version: version, Name: name, Path: path, SQL: strings.TrimSpace(text), SHA256: hex.EncodeToString(sum[:])}
}

// bare is a statement without its comment lines, so that a better comment is not a changed migration.
func bare(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "--") {
			b.WriteString(line)
		}
	}
	return strings.TrimSpace(b.String())
}

// read returns an embedded file. Which files there are is fixed when the program is built and held by a test.
func read(path string) string {
	b, err := files.ReadFile(path)
	if err != nil {
		panic("schemas/sql: " + err.Error())
	}
	return string(b)
}
