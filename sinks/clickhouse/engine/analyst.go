package engine

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Analysts says what may be asked by those who do not know the owner's password: they read one database and no more. The
// library has no users, so the front decides, with the engine's own parser and its own readonly mode: a statement passes
// when both agree that it only reads what is allowed.
type Analysts struct {
	// Database is the one they read, and the current one of their statements.
	Database string
	// Password is what they must give; empty lets everybody in who reaches the address.
	Password string
	// MaxTime is how long a statement may run, default 60 s.
	MaxTime time.Duration
	// MaxMemory is what one statement may take in bytes, default a quarter of the engine's.
	MaxMemory int64
	// MaxRows and MaxBytes are the largest result, default 10 million rows and 1 GiB; a larger one fails instead of
	// ending early.
	MaxRows, MaxBytes int64
}

// Defaults of [Analysts].
const (
	analystTime  = 60 * time.Second
	analystRows  = 10_000_000
	analystBytes = 1 << 30
)

// withDefaults fills in what is zero, for an engine with so much memory.
func (a Analysts) withDefaults(engineMemory int64) Analysts {
	if a.MaxTime == 0 {
		a.MaxTime = analystTime
	}
	if a.MaxMemory == 0 {
		a.MaxMemory = engineMemory / 4
	}
	if a.MaxRows == 0 {
		a.MaxRows = analystRows
	}
	if a.MaxBytes == 0 {
		a.MaxBytes = analystBytes
	}
	return a
}

// role is what a request may do.
type role uint8

const (
	owner   role = iota // everything
	analyst             // read, within [Analysts]
)

// admit says in which role a request comes. Without a password in the configuration everybody is the owner.
func (e *Engine) admit(r *http.Request) (role, error) {
	if e.cfg.Password == "" {
		return owner, nil
	}
	user, password, ok := r.BasicAuth()
	if !ok {
		q := r.URL.Query()
		user = first(r.Header.Get("X-ClickHouse-User"), q.Get("user"), "default")
		password = first(r.Header.Get("X-ClickHouse-Key"), q.Get("password"))
	}
	if subtle.ConstantTimeCompare([]byte(user), []byte(e.cfg.User))&
		subtle.ConstantTimeCompare([]byte(password), []byte(e.cfg.Password)) == 1 {
		return owner, nil
	}
	if a := e.cfg.Analysts; a != nil && subtle.ConstantTimeCompare([]byte(password), []byte(a.Password)) == 1 {
		return analyst, nil
	}
	return analyst, exceptionf(codeAuthentication, "AUTHENTICATION_FAILED", "%s: Authentication failed: password is incorrect, or there is no user with such name", user)
}

// denied is the answer to what an analyst may not.
func denied(format string, args ...any) *Exception {
	return exceptionf(codeAccessDenied, "ACCESS_DENIED", "%s: this address is for reading only. What the operator may do, 'earshot query' does", fmt.Sprintf(format, args...))
}

// freeSettings are the settings that analysts may choose, because they change how an answer looks or how hard the engine
// works for it and nothing else. What ends in a dot stands for every name that begins so without the dot.
var freeSettings = []string{"output_format_.", "join_use_nulls", "extremes", "session_timezone", "date_time_output_format",
	"max_threads", "max_block_size", "group_by_overflow_mode", "totals_mode", "log_comment", "send_progress_in_http_headers",
	"http_headers_progress_interval_ms", "add_http_cors_header", "enable_http_compression", "http_zlib_compression_level",
	"network_compression_method", "network_zstd_compression_level", "cancel_http_readonly_queries_on_client_close",
	"allow_experimental_analyzer", "enable_analyzer", "distinct_overflow_mode", "prefer_column_name_to_alias", "optimize_use_projections"}

// free reports whether analysts may choose a setting. Formats that read a file on this machine are not to be chosen.
func free(name string) bool {
	if strings.HasPrefix(name, "output_format_schema") {
		return false
	}
	for _, s := range freeSettings {
		if prefix, ok := strings.CutSuffix(s, "."); s == name || ok && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// confine makes an analyst's request one that can only read: its database, its settings and their limits, and the engine's
// readonly mode, which refuses what is not reading and every change of a setting.
func (a *Analysts) confine(req *request) error {
	if req.insert != nil {
		return denied("INSERT is not allowed")
	}
	if req.database == "" {
		req.database = a.Database
	}
	if req.database != a.Database {
		return denied("The database %q is not open", req.database)
	}
	if len(req.external) > 0 {
		return denied("External tables are not taken; write IN (…) or values(…)")
	}
	limits := map[string]int64{
		"max_execution_time": int64(a.MaxTime / time.Second), "max_memory_usage": a.MaxMemory,
		"max_result_rows": a.MaxRows, "max_result_bytes": a.MaxBytes,
	}
	var kept []setting
	for _, s := range req.settings {
		switch most, limited := limits[s.name]; {
		case limited:
			// Who wants less gets less.
			if n, err := strconv.ParseInt(s.value, 10, 64); err == nil && n > 0 && n < most {
				limits[s.name] = n
			}
		case s.name == "readonly", s.name == "result_overflow_mode", s.name == "timeout_overflow_mode":
		case free(s.name):
			kept = append(kept, s)
		default:
			return denied("The setting %q cannot be changed", s.name)
		}
	}
	for name, n := range limits {
		kept = append(kept, setting{name, strconv.FormatInt(n, 10)})
	}
	req.settings = append(kept, setting{"result_overflow_mode", "throw"}, setting{"timeout_overflow_mode", "throw"})
	req.settings = append(req.settings, setting{"additional_table_filters", a.visible()}, setting{"readonly", "1"})
	// Sessions are for settings and temporary tables, of which there are none.
	req.session = ""
	// Nobody may take the id of a statement of the owner's and so keep it from running.
	req.id = "analyst " + req.id
	return nil
}

// visible hides what the catalogue tells of other databases: their tables, columns, parts and names. The engine applies these
// conditions wherever a statement comes to one of the tables, also by SHOW and by the views of information_schema.
func (a *Analysts) visible() string {
	own := literal(a.Database)
	in := "IN (" + own + ", 'system', 'information_schema', 'INFORMATION_SCHEMA')"
	var b strings.Builder
	for _, table := range []string{"tables", "columns", "parts", "parts_columns", "projections", "data_skipping_indices", "constraints"} {
		fmt.Fprintf(&b, "%s: %s, ", literal("system."+table), literal("database "+in))
	}
	words := "context NOT IN ('database', 'table', 'column') OR word = " + own + " OR belongs = " + own + " OR belongs IN (SELECT name FROM system.tables WHERE database = " + own + ")"
	return "{" + b.String() + "'system.databases': " + literal("name "+in) + ", 'system.completions': " + literal(words) + "}"
}
