package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"
)

// setting is a name and its value as text: a ClickHouse setting or a query
// parameter.
type setting struct{ name, value string }

// request is one statement as a client sent it over HTTP.
type request struct {
	role       role
	id         string
	sql        string
	insert     *insertHead // nil unless the statement brings data
	data       io.Reader   // an insert's data, decompressed
	database   string
	format     string // answers when the statement has no FORMAT clause
	settings   []setting
	parameters []setting
	protocol   uint64 // client_protocol_version, 0 when not sent
	compress   bool   // answer in ClickHouse's own compressed blocks
	codec      string // of those blocks: LZ4 or ZSTD
	level      int    // of ZSTD
	encoding   string // Content-Encoding of the answer, "" for none
	wholeFirst bool   // wait_end_of_query: nothing is sent before the end
	session    string
	timeout    time.Duration // of the session
	newSession bool          // false when session_check asks for an existing one
	external   []external
}

// reserved are the URL parameters that are not settings.
var reserved = map[string]bool{
	"query": true, "database": true, "default_format": true, "query_id": true,
	"compress": true, "decompress": true, "user": true, "password": true,
	"quota_key": true, "stacktrace": true, "role": true, "buffer_size": true,
	"wait_end_of_query": true, "session_id": true, "session_timeout": true,
	"session_check": true, "close_session": true, "client_protocol_version": true,
}

// settingName is what a setting may be called; anything else would be SQL.
var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

// formatName is what a format may be called; it becomes a part of the statement.
var formatName = regexp.MustCompile(`^[A-Za-z0-9_]+$`)

// maxStatement is the longest statement read, 16 MiB. The engine's own
// max_query_size (256 KiB unless set) is checked by the engine.
const maxStatement = 16 << 20

// parseRequest reads everything but an insert's data; most is the longest statement it reads, in bytes.
func parseRequest(r *http.Request, body io.Reader, most int) (*request, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, exceptionf(codeBadArguments, "BAD_ARGUMENTS", "Cannot parse the URL's parameters: %s", err)
	}
	// A multipart body brings the statement and parameters as fields and small
	// tables as files; it is not an insert's data.
	var tables []external
	if kind := r.Header.Get("Content-Type"); strings.HasPrefix(kind, "multipart/form-data") {
		if tables, err = readForm(body, kind, q); err != nil {
			return nil, err
		}
		body = http.NoBody
	}
	req := &request{
		external:   tables,
		id:         q.Get("query_id"),
		database:   first(r.Header.Get("X-ClickHouse-Database"), q.Get("database")),
		format:     first(r.Header.Get("X-ClickHouse-Format"), q.Get("default_format"), "TabSeparated"),
		compress:   q.Get("compress") == "1",
		codec:      "LZ4",
		wholeFirst: q.Get("wait_end_of_query") == "1",
		session:    q.Get("session_id"),
		newSession: q.Get("session_check") != "1",
	}
	if !formatName.MatchString(req.format) {
		return nil, exceptionf(codeBadArguments, "BAD_ARGUMENTS", "default_format is %q, must be the name of a format", req.format)
	}
	if v := q.Get("client_protocol_version"); v != "" {
		if req.protocol, err = strconv.ParseUint(v, 10, 32); err != nil {
			return nil, exceptionf(codeBadArguments, "BAD_ARGUMENTS", "client_protocol_version is %q, must be a number", v)
		}
	}
	if req.timeout, err = sessionTimeout(q.Get("session_timeout")); err != nil {
		return nil, err
	}
	if err := req.readSettings(q, r.Method); err != nil {
		return nil, err
	}
	req.encoding = acceptEncoding(r.Header.Get("Accept-Encoding"), q.Get("enable_http_compression") == "1")
	if body, err = decodeBody(body, r.Header.Get("Content-Encoding"), q.Get("decompress") == "1"); err != nil {
		return nil, err
	}
	return req, req.split(q.Get("query"), body, most)
}

// readSettings sorts the URL's parameters into settings and query parameters.
func (req *request) readSettings(q url.Values, method string) error {
	for name, values := range q {
		value := values[len(values)-1]
		switch {
		case reserved[name]:
		case strings.HasPrefix(name, "param_"):
			req.parameters = append(req.parameters, setting{name[len("param_"):], value})
		case !settingName.MatchString(name):
			return exceptionf(codeUnknownSetting, "UNKNOWN_SETTING", "Unknown setting '%s'", name)
		default:
			switch name {
			case "network_compression_method":
				req.codec = strings.ToUpper(value)
			case "network_zstd_compression_level":
				req.level, _ = strconv.Atoi(value)
			}
			req.settings = append(req.settings, setting{name, value})
		}
	}
	sort.Slice(req.settings, func(i, j int) bool { return req.settings[i].name < req.settings[j].name })
	// A GET must change nothing, so links and prefetching browsers are safe.
	if method == http.MethodGet || method == http.MethodHead {
		if q.Get("readonly") == "" || q.Get("readonly") == "0" {
			req.settings = append(req.settings, setting{"readonly", "2"})
		}
	}
	return nil
}

// split finds the statement in the URL and the body, and for an insert where
// its data begins. The body follows the URL's query.
func (req *request) split(query string, body io.Reader, most int) error {
	if query != "" {
		if head, ok, _ := splitInsert(query); ok {
			req.insert, req.sql = &head, query
			req.data = io.MultiReader(strings.NewReader(query[head.dataStart:]), body)
			return nil
		}
	}
	sql := []byte(query)
	if query != "" {
		sql = append(sql, '\n')
	}
	for size := 64 << 10; ; size *= 4 {
		chunk := make([]byte, size)
		n, err := fill(body, chunk)
		sql = append(sql, chunk[:n]...)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read statement: %w", err)
		}
		head, ok, more := splitInsert(string(sql))
		if ok && (!more || err != nil) {
			req.insert, req.sql = &head, string(sql)
			req.data = io.MultiReader(bytes.NewReader(sql[head.dataStart:]), body)
			return nil
		}
		if err != nil {
			req.sql = strings.TrimSpace(string(sql))
			return nil
		}
		if len(sql) > most {
			return exceptionf(codeTooLarge, "QUERY_IS_TOO_LARGE", "The statement is longer than %d bytes; send data in an INSERT with a FORMAT", most)
		}
	}
}

// first is the first text that is not empty.
func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// sessionTimeout reads seconds: 60 unless said, at most an hour, as a server.
func sessionTimeout(s string) (time.Duration, error) {
	if s == "" {
		return 60 * time.Second, nil
	}
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n > 3600 {
		return 0, exceptionf(codeBadSessionTimeout, "INVALID_SESSION_TIMEOUT", "session_timeout is %q, must be 0 to 3600 seconds", s)
	}
	return time.Duration(n) * time.Second, nil
}
