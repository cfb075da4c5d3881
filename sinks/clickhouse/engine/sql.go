package engine

import "strings"

// The front reads just enough SQL to know where an INSERT's data begins, which
// format answers, and what must not run. It splits text into tokens by
// ClickHouse's rules for quotes and comments and leaves grammar to the engine.

// token is a piece of a statement by byte offsets.
type token struct {
	kind       tokenKind
	start, end int
}

type tokenKind uint8

const (
	word   tokenKind = iota // a bare identifier, keyword or number
	quoted                  // an identifier in backticks or double quotes
	text                    // a string literal or heredoc
	punct                   // one byte of anything else
)

// lexer walks over SQL text.
type lexer struct {
	sql string
	pos int
}

// next is the next token, false at the end. Space and comments are skipped.
func (l *lexer) next() (token, bool) {
	l.skip()
	if l.pos >= len(l.sql) {
		return token{}, false
	}
	start, c := l.pos, l.sql[l.pos]
	switch {
	case c == '\'':
		l.quote('\'')
		return token{text, start, l.pos}, true
	case c == '`' || c == '"':
		l.quote(c)
		return token{quoted, start, l.pos}, true
	case isWordByte(c):
		for l.pos < len(l.sql) && isWordByte(l.sql[l.pos]) {
			l.pos++
		}
		return token{word, start, l.pos}, true
	case c == '$':
		if l.heredoc() {
			return token{text, start, l.pos}, true
		}
	}
	l.pos++
	return token{punct, start, l.pos}, true
}

// skip moves over space and comments: "-- …", "#!…", "# …" to the end of the
// line, and "/* … */".
func (l *lexer) skip() {
	for l.pos < len(l.sql) {
		rest := l.sql[l.pos:]
		switch {
		case isSpace(rest[0]):
			l.pos++
		case strings.HasPrefix(rest, "--"), strings.HasPrefix(rest, "#!"), strings.HasPrefix(rest, "# "):
			if i := strings.IndexByte(rest, '\n'); i >= 0 {
				l.pos += i + 1
			} else {
				l.pos = len(l.sql)
			}
		case strings.HasPrefix(rest, "/*"):
			if i := strings.Index(rest[2:], "*/"); i >= 0 {
				l.pos += i + 4
			} else {
				l.pos = len(l.sql)
			}
		default:
			return
		}
	}
}

// quote moves past a quoted run: a backslash takes the next byte, a doubled
// quote stands for itself.
func (l *lexer) quote(q byte) {
	for l.pos++; l.pos < len(l.sql); l.pos++ {
		switch l.sql[l.pos] {
		case '\\':
			l.pos++
		case q:
			if l.pos+1 < len(l.sql) && l.sql[l.pos+1] == q {
				l.pos++
				continue
			}
			l.pos++
			return
		}
	}
	l.pos = min(l.pos, len(l.sql))
}

// heredoc moves past $tag$ … $tag$ and reports whether there was one.
func (l *lexer) heredoc() bool {
	i := l.pos + 1
	for i < len(l.sql) && isWordByte(l.sql[i]) {
		i++
	}
	if i >= len(l.sql) || l.sql[i] != '$' {
		return false
	}
	tag := l.sql[l.pos : i+1]
	end := strings.Index(l.sql[i+1:], tag)
	if end < 0 {
		return false
	}
	l.pos = i + 1 + end + len(tag)
	return true
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'
}

func isWordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// is reports whether t is the bare word w, which is in upper case.
func (l *lexer) is(t token, w string) bool {
	return t.kind == word && strings.EqualFold(l.sql[t.start:t.end], w)
}

// isPunct reports whether t is the byte c.
func (l *lexer) isPunct(t token, c byte) bool {
	return t.kind == punct && l.sql[t.start] == c
}

// insertHead is the part of an INSERT before its data.
type insertHead struct {
	statement string // without the FORMAT clause, as the insert stream takes it
	format    string
	dataStart int // where the data begins in the text, at most its length
}

// splitInsert finds the head of an INSERT that brings its own data. It answers
// false for every other statement, INSERT … SELECT included. When the text may
// be cut off inside the head, more is true: read on and ask again.
func splitInsert(sql string) (head insertHead, ok, more bool) {
	l := &lexer{sql: sql}
	t, found := l.next()
	if !found {
		return head, false, true
	}
	if !l.is(t, "INSERT") {
		return head, false, false
	}
	t, found = l.next()
	for found && (l.is(t, "INTO") || l.is(t, "TABLE") || l.is(t, "FUNCTION")) {
		t, found = l.next()
	}
	// t is the first part of the target's name, which may be any word.
	for found {
		if t, found = l.next(); !found || !l.isPunct(t, '.') {
			break
		}
		t, found = l.next()
	}
	depth := 0
	for ; found; t, found = l.next() {
		switch {
		case l.isPunct(t, '('):
			depth++
		case l.isPunct(t, ')'):
			depth--
		case depth > 0 && (l.is(t, "SELECT") || l.is(t, "WITH")) && l.startsSubquery(t):
			return head, false, false
		case depth > 0:
		case l.is(t, "SELECT"), l.is(t, "WITH"), l.is(t, "WATCH"), l.is(t, "FROM"):
			return head, false, false
		case l.is(t, "VALUES"):
			if t.end == len(sql) {
				more = true
			}
			return insertHead{sql[:t.start], "Values", t.end}, true, more
		case l.is(t, "FORMAT"):
			name, ok := l.next()
			if !ok || name.end == len(sql) && name.kind == word {
				more = true // the name may go on
			}
			if !ok {
				return head, false, true
			}
			return insertHead{sql[:t.start], sql[name.start:name.end], dataStart(sql, name.end)}, true, more
		}
	}
	return insertHead{strings.TrimRight(sql, "; \t\r\n"), "Values", len(sql)}, true, true
}

// startsSubquery reports whether t follows directly on an opening parenthesis.
func (l *lexer) startsSubquery(t token) bool {
	before := strings.TrimRight(l.sql[:t.start], " \t\r\n")
	return strings.HasSuffix(before, "(")
}

// dataStart is where data begins after a format's name: past blanks and at most
// one line end, so that binary data is not touched.
func dataStart(sql string, i int) int {
	for i < len(sql) && (sql[i] == ' ' || sql[i] == '\t' || sql[i] == '\f') {
		i++
	}
	if i < len(sql) && sql[i] == '\r' {
		i++
	}
	if i < len(sql) && sql[i] == '\n' {
		i++
	}
	return i
}

// facts are what the front wants to know of a statement that is not an insert
// with data.
type facts struct {
	verb      string  // what it does: the first word, past parentheses and WITH, in upper case
	second    string  // the word after the verb in upper case
	format    string  // of a trailing FORMAT clause, "" without one
	clause    [2]int  // where that clause begins and ends; both bodyEnd without one
	several   bool    // more than one statement
	outfile   bool    // INTO OUTFILE
	infile    bool    // FROM INFILE
	processes []token // system.processes after FROM or JOIN, as one span each
	ids       []token // query_id and initial_query_id, bare or quoted
	bodyEnd   int     // where the statement ends, without a trailing semicolon
}

// inspect reads a statement through once.
func inspect(sql string) facts {
	l := &lexer{sql: sql}
	f := facts{bodyEnd: len(sql)}
	var back [3]token // the last three tokens, newest first
	depth, ended := 0, false
	for n := 0; ; n++ {
		t, ok := l.next()
		if !ok {
			break
		}
		if ended && !l.isPunct(t, ';') {
			f.several = true
		}
		if f.format != "" && l.isClause(back[0], f) && !l.is(t, "SETTINGS") && !l.isPunct(t, ';') {
			f.format = "" // FORMAT was a name after all
		}
		f.readVerb(l, t, depth)
		switch {
		case l.isPunct(t, '('):
			depth++
		case l.isPunct(t, ')'):
			depth--
		case l.isPunct(t, ';'):
			if !ended {
				f.bodyEnd = t.start
			}
			ended = true
		case n > 0 && depth == 0 && t.kind == word && l.is(back[0], "FORMAT"):
			f.format, f.clause = sql[t.start:t.end], [2]int{back[0].start, t.end}
		case n > 0 && l.is(t, "OUTFILE") && l.is(back[0], "INTO"):
			f.outfile = true
		case n > 0 && l.is(t, "INFILE") && l.is(back[0], "FROM"):
			f.infile = true
		case n > 2 && l.named(t, "processes") && l.isPunct(back[0], '.') && l.named(back[1], "system") &&
			(l.is(back[2], "FROM") || l.is(back[2], "JOIN")):
			f.processes = append(f.processes, token{word, back[1].start, t.end})
		case l.named(t, "query_id") || l.named(t, "initial_query_id"):
			f.ids = append(f.ids, t)
		}
		back[2], back[1], back[0] = back[1], back[0], t
	}
	if f.format == "" {
		f.clause = [2]int{f.bodyEnd, f.bodyEnd}
	}
	return f
}

// readVerb looks for what the statement does: the first word that is not an
// opening parenthesis, and after WITH the SELECT or INSERT INTO outside all
// parentheses.
func (f *facts) readVerb(l *lexer, t token, depth int) {
	switch {
	case f.verb == "" && l.isPunct(t, '('):
	case f.verb == "":
		f.verb = "?" // no statement begins so
		if t.kind == word {
			f.verb = strings.ToUpper(l.sql[t.start:t.end])
		}
	case f.verb == "WITH" && depth == 0 && (l.is(t, "SELECT") || l.is(t, "INSERT")):
		f.verb = strings.ToUpper(l.sql[t.start:t.end])
	case f.second == "" && t.kind == word:
		f.second = strings.ToUpper(l.sql[t.start:t.end])
	}
}

// isClause reports whether t ends the FORMAT clause found.
func (l *lexer) isClause(t token, f facts) bool { return t.end == f.clause[1] }

// selects reports whether the statement is a SELECT: the only kind whose output
// can be long, and the only one the library gives in chunks.
func (f facts) selects() bool {
	return f.verb == "SELECT" || f.verb == "FROM" || f.verb == "WITH"
}

// named reports whether t is the identifier name, bare or quoted.
func (l *lexer) named(t token, name string) bool {
	s := l.sql[t.start:t.end]
	return t.kind == word && s == name || t.kind == quoted && len(s) > 1 && s[1:len(s)-1] == name
}

// literal is s as a SQL string literal.
func literal(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// identifier is s as a quoted SQL identifier.
func identifier(s string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(s) + "`"
}
