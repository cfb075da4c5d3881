package engine

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplitInsertFindsWhereTheDataBegins(t *testing.T) {
	cases := []struct {
		claim, sql        string
		statement, format string
		data              string
	}{
		{"values follow their keyword", "INSERT INTO t VALUES (1)", "INSERT INTO t ", "Values", " (1)"},
		{"a list of columns is no data", "INSERT INTO t (a, `b c`) VALUES (1)", "INSERT INTO t (a, `b c`) ", "Values", " (1)"},
		{"the word is found in any case", "insert into t values (1)", "insert into t ", "Values", " (1)"},
		{"binary data begins after one line end", "INSERT INTO t FORMAT Native\n\n\x00", "INSERT INTO t ", "Native", "\n\x00"},
		{"blanks before the line end are not data", "INSERT INTO t FORMAT CSV \t\r\n1,2", "INSERT INTO t ", "CSV", "1,2"},
		{"data may follow on the same line", "INSERT INTO t FORMAT JSONEachRow {\"a\":1}", "INSERT INTO t ", "JSONEachRow", "{\"a\":1}"},
		{"settings stay with the statement", "INSERT INTO t SETTINGS async_insert=0 FORMAT TSV\n1", "INSERT INTO t SETTINGS async_insert=0 ", "TSV", "1"},
		{"a table may be called values", "INSERT INTO values VALUES (1)", "INSERT INTO values ", "Values", " (1)"},
		{"a table may be called format", "INSERT INTO db.format (format, values) FORMAT CSV\n1", "INSERT INTO db.format (format, values) ", "CSV", "1"},
		{"a column may be called select", "INSERT INTO t (a, select) FORMAT CSV\n1", "INSERT INTO t (a, select) ", "CSV", "1"},
		{"quoted names hold keywords", "INSERT INTO `FORMAT x` (\"VALUES\") VALUES (1)", "INSERT INTO `FORMAT x` (\"VALUES\") ", "Values", " (1)"},
		{"comments are skipped", "-- VALUES\n/* FORMAT x */ INSERT /* INTO */ INTO t -- SELECT\n VALUES (1)", "-- VALUES\n/* FORMAT x */ INSERT /* INTO */ INTO t -- SELECT\n ", "Values", " (1)"},
		{"TABLE and FUNCTION are noise", "INSERT INTO TABLE FUNCTION null('a Int8') VALUES (1)", "INSERT INTO TABLE FUNCTION null('a Int8') ", "Values", " (1)"},
		{"an asterisk with EXCEPT is a list of columns", "INSERT INTO t (* EXCEPT(a)) VALUES (1)", "INSERT INTO t (* EXCEPT(a)) ", "Values", " (1)"},
		{"without a clause the data is values", "INSERT INTO t (a, b)", "INSERT INTO t (a, b)", "Values", ""},
		{"INTO may be left out", "INSERT t VALUES (1)", "INSERT t ", "Values", " (1)"},
	}
	for _, c := range cases {
		t.Run(c.claim, func(t *testing.T) {
			head, ok, _ := splitInsert(c.sql)
			if !ok {
				t.Fatal("not taken for an insert with data")
			}
			got := []string{head.statement, head.format, c.sql[head.dataStart:]}
			if diff := cmp.Diff([]string{c.statement, c.format, c.data}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSplitInsertLeavesOtherStatementsAlone(t *testing.T) {
	for _, sql := range []string{
		"SELECT 1",
		"INSERT INTO t SELECT 1",
		"INSERT INTO t (a) SELECT 'VALUES'",
		"INSERT INTO t WITH 1 AS x SELECT x",
		"INSERT INTO t (SELECT 1)",
		"INSERT INTO t (WITH 1 AS x SELECT x)",
		"INSERT INTO t (a) (SELECT 1)",
		"INSERT INTO t FROM INFILE 'x' FORMAT CSV",
		"WITH 1 AS x INSERT INTO t SELECT x",
		"CREATE TABLE t (a Int8) ENGINE = Memory",
		"/* INSERT INTO t VALUES (1) */ SELECT 1",
	} {
		t.Run(sql, func(t *testing.T) {
			if head, ok, _ := splitInsert(sql); ok {
				t.Errorf("taken for an insert with data: %+v", head)
			}
		})
	}
}

func TestSplitInsertAsksForMoreWhenTheHeadMayBeCut(t *testing.T) {
	for _, sql := range []string{"", "-- comment", "INSERT INTO t (a, b", "INSERT INTO t FORMAT", "INSERT INTO t FORMAT JSONEach", "INSERT INTO t VALUES"} {
		if _, _, more := splitInsert(sql); !more {
			t.Errorf("%q: taken for a whole head", sql)
		}
	}
	for _, sql := range []string{"SELECT 1", "INSERT INTO t FORMAT JSONEachRow\n", "INSERT INTO t VALUES (", "INSERT INTO t SELECT"} {
		if _, _, more := splitInsert(sql); more {
			t.Errorf("%q: taken for a cut head", sql)
		}
	}
}

func TestInspect(t *testing.T) {
	span := func(sql, part string) [2]int {
		i := strings.LastIndex(sql, part)
		return [2]int{i, i + len(part)}
	}
	cases := []struct {
		claim, sql   string
		verb, format string
		clause       string
		several      bool
		outfile      bool
		infile       bool
	}{
		{claim: "a plain select", sql: "SELECT 1", verb: "SELECT"},
		{claim: "the format is the last clause", sql: "SELECT 1 FORMAT JSON", verb: "SELECT", format: "JSON", clause: "FORMAT JSON"},
		{claim: "settings may follow the format", sql: "SELECT 1 FORMAT CSV SETTINGS max_threads=1", verb: "SELECT", format: "CSV", clause: "FORMAT CSV"},
		{claim: "a column called format is not the clause", sql: "SELECT 1 AS format FROM t", verb: "SELECT"},
		{claim: "nor with a bare alias", sql: "SELECT a format FROM t FORMAT TSV", verb: "SELECT", format: "TSV", clause: "FORMAT TSV"},
		{claim: "a format in a subquery is not the clause", sql: "SELECT * FROM (SELECT 1 FORMAT JSON)", verb: "SELECT"},
		{claim: "a format in a string is not the clause", sql: "SELECT ' FORMAT JSON'", verb: "SELECT"},
		{claim: "a trailing semicolon ends one statement", sql: "SELECT 1 FORMAT CSV ;", verb: "SELECT", format: "CSV", clause: "FORMAT CSV"},
		{claim: "two statements are several", sql: "SELECT 1; SELECT 2", verb: "SELECT", several: true},
		{claim: "a semicolon in a string is not an end", sql: "SELECT ';' , `;`, $x$;$x$ -- ; x", verb: "SELECT"},
		{claim: "several semicolons are one end", sql: "SELECT 1;; -- end", verb: "SELECT"},
		{claim: "WITH before a SELECT selects", sql: "WITH (SELECT 1) AS x SELECT x", verb: "SELECT"},
		{claim: "WITH before an INSERT inserts", sql: "WITH 1 AS x INSERT INTO t SELECT x", verb: "INSERT"},
		{claim: "parentheses are looked through", sql: "((SELECT 1) UNION ALL (SELECT 2))", verb: "SELECT"},
		{claim: "files are seen going out", sql: "SELECT 1 INTO OUTFILE 'x'", verb: "SELECT", outfile: true},
		{claim: "files are seen going out past comments", sql: "SELECT 1 INTO/**/OUTFILE 'x'", verb: "SELECT", outfile: true},
		{claim: "files are seen coming in", sql: "INSERT INTO t FROM INFILE 'x' FORMAT CSV", verb: "INSERT", infile: true, format: "CSV", clause: "FORMAT CSV"},
		{claim: "nothing has no verb", sql: " -- nothing", verb: ""},
		{claim: "punctuation is no verb", sql: "\\q", verb: "?"},
	}
	for _, c := range cases {
		t.Run(c.claim, func(t *testing.T) {
			f := inspect(c.sql)
			if f.verb != c.verb || f.format != c.format || f.several != c.several || f.outfile != c.outfile || f.infile != c.infile {
				t.Errorf("got %+v", f)
			}
			if c.clause != "" {
				if want := span(c.sql, c.clause); f.clause != want {
					t.Errorf("clause at %v, want %v", f.clause, want)
				}
			} else if f.clause != [2]int{f.bodyEnd, f.bodyEnd} {
				t.Errorf("clause at %v of %d", f.clause, f.bodyEnd)
			}
		})
	}
}

func TestWithClientIDsChangesOnlyTheProcessList(t *testing.T) {
	const processes = "(SELECT * REPLACE (" + clientID + " AS query_id, " + clientID + " AS initial_query_id) FROM system.processes)"
	for _, c := range []struct{ claim, sql, want string }{
		{"a kill compares the client's id", "KILL QUERY WHERE query_id = 'x' SYNC", "KILL QUERY WHERE " + clientID + " = 'x' SYNC"},
		{"a quoted column too", "KILL QUERY WHERE `query_id` IN ('x')", "KILL QUERY WHERE " + clientID + " IN ('x')"},
		{"a literal stays", "KILL QUERY WHERE query = 'query_id'", "KILL QUERY WHERE query = 'query_id'"},
		{"the table is replaced", "SELECT query_id FROM system.processes WHERE 1", "SELECT query_id FROM " + processes + " WHERE 1"},
		{"in a join too", "SELECT 1 FROM a JOIN `system`.`processes` AS p USING x", "SELECT 1 FROM a JOIN " + processes + " AS p USING x"},
		{"other tables are not", "SELECT query_id FROM processes, system.parts", "SELECT query_id FROM processes, system.parts"},
		{"nor a mention in a string", "SELECT 'FROM system.processes'", "SELECT 'FROM system.processes'"},
	} {
		t.Run(c.claim, func(t *testing.T) {
			if got := withClientIDs(c.sql, inspect(c.sql)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestRefusedStatements(t *testing.T) {
	for _, c := range []struct {
		sql  string
		code int
	}{
		{"", codeSyntax},
		{";", codeSyntax},
		{"SELECT 1; DROP TABLE t", codeSyntax},
		{"quit", codeSyntax},
		{"exit;", codeSyntax},
		{"q", codeSyntax},
		{"\\q", codeSyntax},
		{"йгше", codeSyntax},
		{"SELECT 1 INTO OUTFILE '/tmp/x'", codeIntoOutfile},
		{"INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV", codeNotImplemented},
		{"SYSTEM SHUTDOWN", codeNotImplemented},
		{"system /* now */ kill", codeNotImplemented},
	} {
		err := refuse(c.sql, inspect(c.sql))
		if err == nil || asException(err).Code != c.code {
			t.Errorf("%q: got %v, want code %d", c.sql, err, c.code)
		}
	}
	for _, sql := range []string{"SELECT 1", "SYSTEM FLUSH LOGS", "KILL QUERY WHERE 1", "EXISTS TABLE t", "QUALIFY", "WITH 1 AS x SELECT x"} {
		if err := refuse(sql, inspect(sql)); err != nil {
			t.Errorf("%q refused: %v", sql, err)
		}
	}
}

func TestQuotedTextComesBackFromTheLexerWhole(t *testing.T) {
	for _, s := range []string{"", "plain", `it's`, `back\slash`, "`tick`", `\'; DROP TABLE t; --`, "\x00", "ü"} {
		for _, q := range []string{literal(s), identifier(s)} {
			l := &lexer{sql: q}
			if tok, ok := l.next(); !ok || tok.end != len(q) {
				t.Errorf("%q as %s is more than one token", s, q)
			}
		}
	}
}

func FuzzLexer(f *testing.F) {
	for _, s := range []string{"SELECT 1", "INSERT INTO t FORMAT Native\n\x00", "'", "`\\", "/*", "$a$ $a", "--", "KILL QUERY WHERE query_id=''", "a FORMAT b SETTINGS", "'a''b\\'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		l, last := &lexer{sql: sql}, 0
		for {
			tok, ok := l.next()
			if !ok {
				break
			}
			if tok.start < last || tok.end <= tok.start || tok.end > len(sql) {
				t.Fatalf("token %+v after %d of %d bytes", tok, last, len(sql))
			}
			last = tok.end
		}
		if head, ok, _ := splitInsert(sql); ok && (head.dataStart > len(sql) || !strings.HasPrefix(sql, head.statement)) {
			t.Fatalf("head %+v", head)
		}
		facts := inspect(sql)
		if facts.bodyEnd > len(sql) || facts.clause[0] > facts.clause[1] || facts.clause[1] > len(sql) {
			t.Fatalf("facts %+v", facts)
		}
		if !facts.several && refuse(sql, facts) == nil && len(withClientIDs(sql, facts)) < len(sql)-len(facts.ids)*len("initial_query_id")-2 {
			t.Fatal("rewriting lost text")
		}
	})
}
