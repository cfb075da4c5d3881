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

//go:embed tables/*.sql views/*.sql queries/*.sql usual/*.sql
var files embed.FS

// Object is one table or view, or a change of a table.
type Object struct {
	Version uint32 // order of creation, and the number under which it is recorded; never reused
	Name    string // of the table or view
	Path    string // of its file, such as "views/mentions.sql"; of a change "tables/feedback.stage.sql"
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
		object(2, "tables/generations.sql"),
		object(18, "tables/alerts.sql"),
		object(20, "tables/feedback.stage.sql"),
		object(21, "tables/themes.sql"),
		object(26, "tables/calendars.sql"),
		object(27, "tables/calendar_hours.sql"),
		object(32, "tables/customer_key_versions.sql"),
		object(33, "tables/feedback.said_first.sql"),
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
		object(1009, "views/nps.sql"),
		object(1010, "views/ces.sql"),
		object(1011, "views/theme_reach.sql"),
		object(1013, "views/data_dictionary.sql"),
		object(1018, "views/alert_feed.sql"),
		object(1019, "views/alert_feed_mentions.sql"),
		object(1020, "views/themes_current.sql"),
		object(1025, "views/feedback_cuts.sql"),
		object(1026, "views/satisfaction_weights.sql"),
		object(1029, "views/csat.sql"), // 1008 until it read feedback_cuts
		object(1045, "views/business_hours.sql"),
		object(1046, "views/response_targets.sql"),
		object(1047, "views/threads.sql"),
		object(1048, "views/lone_waits.sql"),
		object(1049, "views/waits.sql"),
		object(1052, "views/needs_response.sql"), // was 1012 until it read 1047
		object(1057, "views/customer_story.sql"),
		object(1060, "views/churn_weights.sql"),
		object(1061, "views/churn_scores.sql"),
		object(1062, "views/customer_risk.sql"),
		object(1063, "views/need_requests.sql"),
		object(1064, "views/theme_decisions.sql"),
		object(1065, "views/needs.sql"),
		object(1066, "views/silent_customers.sql"),
		object(1067, "views/theme_growth.sql"),
		object(1095, "views/loops.sql"),
		object(1096, "views/decisions.sql"), // these three were 1054 to 1056 until they read loops
		object(1097, "views/cases.sql"),
		object(1098, "views/double_deviations.sql"),
		// What reads these was 1050, 1051, 1053, 1027 and 1028 until what depends on the time of asking was parted from the rest.
		object(1099, "views/wait_times.sql"),
		object(1100, "views/response_times.sql"),
		object(1101, "views/cycle_times.sql"),
		object(1102, "views/case_cycles.sql"),
		object(1103, "views/open_waits.sql"),
		object(1104, "views/due.sql"),
		object(1105, "views/first_waits.sql"),
		object(1106, "views/first_answers.sql"),
		object(1107, "views/occasions.sql"),
		object(1108, "views/conduct.sql"),
		object(1109, "views/scored_answers.sql"), // these three were two, 1068 and 1069
		object(1110, "views/answer_parts.sql"),
		object(1111, "views/impact.sql"),
	}
}

// liveMark stands before the generation in the statement of feedback_current. The file as it is means generation 1; whoever
// creates the view puts in the one that the table generations says is live.
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

// Query is a named question.
type Query struct {
	Name     string
	Doc      string // what it answers
	Params   []Param
	Settings map[string]string // of the server, for a quicker answer; the answer is the same without them. nil: none
	SQL      string            // one SELECT, which may begin with WITH
	usual    *usual            // nil: none
}

// queryNames is the order in which queries are listed: what most people ask first comes first.
var queryNames = [...]string{"csat", "nps", "ces", "net_sentiment", "satisfaction_index", "five_s", "speed_gap", "figures_over_time",
	"satisfaction_by_element", "satisfaction_by_facet", "satisfaction_by_s5", "worst_themes", "feedback_latest", "volume_by_hour",
	"due", "response_time", "resolution_time", "sla", "loop", "decisions", "customer_story", "churn_risk", "churn_calibration",
	"needs", "themes", "silent_customers", "impact", "importance_performance", "kano", "alerts_latest", "alert_window",
	"alert_history", "alert_events", "alert_sources", "alert_details", "alert_waiting"}

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

// paramLine is how a query's header declares a parameter: "-- param tenant String = default: whose customers", with the values it may
// have, "-- param metric String in csat|nps = csat: which", or with their form, "-- param tz String as zone = UTC: where".
var paramLine = regexp.MustCompile(`^param (\w+) (\S+(?:\([^)]*\))?)(?: in (\S+)| as (zone|scale))? = (.*?): (.+)$`)

// settingLine is how a query's header names a setting: "-- setting query_plan_merge_expressions = 0: why".
var settingLine = regexp.MustCompile(`^setting (\w+) = (\S+): (.+)$`)

// parseQuery takes a query file apart: comment lines at its head are the doc, the parameters and the settings, the rest is
// the SQL.
func parseQuery(name, text string) Query {
	q := Query{Name: name, usual: findUsual(name)}
	var doc []string
	for line := range strings.Lines(text) {
		comment, ok := strings.CutPrefix(strings.TrimSpace(line), "--")
		if !ok || q.SQL != "" {
			q.SQL += line
			continue
		}
		comment = strings.TrimSpace(comment)
		if m := paramLine.FindStringSubmatch(comment); m != nil {
			p := Param{Name: m[1], Type: m[2], Form: m[4], Default: m[5], Doc: m[6]}
			if m[3] != "" {
				p.Among = strings.Split(m[3], "|")
			}
			q.Params = append(q.Params, p)
		} else if m := settingLine.FindStringSubmatch(comment); m != nil {
			if q.Settings == nil {
				q.Settings = map[string]string{}
			}
			q.Settings[m[1]] = m[2]
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
	if head, tail, ok := strings.Cut(text, " "+columnsMark); ok {
		text = head + factColumns() + tail
	}
	name, _, _ := strings.Cut(path[strings.IndexByte(path, '/')+1:], ".")
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
