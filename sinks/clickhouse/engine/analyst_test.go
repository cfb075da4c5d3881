package engine_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/earshot/earshot/sinks/clickhouse/engine"
)

// sandbox opens an engine for analysts and asks what the files in testdata/analyst hold; a line is printed for each case
// that is answered otherwise than its file says.
func sandbox(library, dir string) error {
	e, err := start(library, dir, func(c *engine.Config) {
		c.User, c.Password = "keeper", "s3cret"
		c.Analysts = &engine.Analysts{Database: "earshot", Password: "look", MaxRows: 10_000, MaxMemory: 200 << 20}
	})
	if err != nil {
		return err
	}
	for _, sql := range []string{
		"CREATE DATABASE earshot", "CREATE DATABASE other",
		"CREATE TABLE earshot.feedback (a UInt64, b String) ENGINE = MergeTree ORDER BY a",
		"CREATE TABLE earshot.feedback_ids (a UInt64) ENGINE = MergeTree ORDER BY a",
		"CREATE TABLE other.secret (a String) ENGINE = MergeTree ORDER BY a",
		"CREATE VIEW earshot.v AS SELECT * FROM earshot.feedback",
		"CREATE VIEW earshot.w AS SELECT * FROM earshot.feedback WHERE a >= {least:UInt64}",
		"INSERT INTO earshot.feedback VALUES (1, 'x'), (2, 'y')", "INSERT INTO other.secret VALUES ('x')",
		"CREATE DATABASE elsewhere", "CREATE TABLE elsewhere.secret (secret_a String, INDEX secret_index secret_a TYPE minmax, CONSTRAINT secret_rule CHECK secret_a != '', PROJECTION secret_sum (SELECT count())) ENGINE = MergeTree ORDER BY secret_a",
		"INSERT INTO elsewhere.secret VALUES ('x')", "CREATE VIEW elsewhere.secret_view AS SELECT * FROM elsewhere.secret",
	} {
		if answer := ask(e, "", sql); !strings.HasPrefix(answer, "200") {
			return fmt.Errorf("%s: %s", sql, answer)
		}
	}
	asked := 0
	each := func(file string, columns int, check func([]string) string) error {
		text, err := os.ReadFile(filepath.Join("testdata", "analyst", file))
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimRight(line, "\n"); line == "" || line[0] == '#' {
				continue
			}
			f := strings.SplitN(line, "\t", columns)
			if len(f) != columns {
				return fmt.Errorf("%s: %q has not %d columns", file, line, columns)
			}
			asked++
			if wrong := check(f); wrong != "" {
				fmt.Println(line, "→", wrong)
			}
		}
		return nil
	}
	if err := each("refused.txt", 3, func(f []string) string {
		code, body := asAnalyst(e, f[1], f[2])
		if code == f[0] {
			return ""
		}
		return code + " " + body
	}); err != nil {
		return err
	}
	if err := each("answered.txt", 2, func(f []string) string {
		code, body := asAnalyst(e, f[0], f[1])
		if code == "" {
			return ""
		}
		return code + " " + body
	}); err != nil {
		return err
	}
	tells := func(body string) bool { return strings.Contains(body, "secret") || strings.Contains(body, "elsewhere") }
	if err := each("hidden.txt", 1, func(f []string) string {
		code, body := asAnalyst(e, "", f[0])
		if code != "" || tells(body) {
			return code + " " + body
		}
		if answer := ask(e, "", f[0]); !tells(answer) {
			return "is no case: the owner gets " + answer
		}
		return ""
	}); err != nil {
		return err
	}
	fmt.Println("asked", asked > 150)
	fmt.Println("stored", ask(e, "", "SELECT (SELECT count() FROM earshot.feedback), (SELECT count() FROM other.secret)"))
	for _, given := range []*url.Userinfo{nil, url.User("analyst"), url.UserPassword("analyst", "wrong"), url.UserPassword("keeper", "look"), url.UserPassword("analyst", "s3cret")} {
		code, _ := askAs(e, given, "", "DROP TABLE earshot.v")
		fmt.Println("given", given, code)
	}
	return e.Close(context.Background())
}

func asAnalyst(e *engine.Engine, parameters, sql string) (code, body string) {
	return askAs(e, url.UserPassword("default", "look"), parameters, sql)
}

// askAs asks with somebody's name and password and returns ClickHouse's code, empty when the answer is good, and the body.
func askAs(e *engine.Engine, who *url.Userinfo, parameters, sql string) (code, body string) {
	u := url.URL{Scheme: "http", Host: e.Addr(), User: who, Path: "/", RawQuery: parameters}
	resp, err := http.Post(u.String(), "text/plain", strings.NewReader(sql))
	if err != nil {
		return "none", err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return "none", err.Error()
	}
	if code = resp.Header.Get("X-ClickHouse-Exception-Code"); code == "" && strings.Contains(string(b), "\r\n__exception__\r\n") {
		code = "late"
	}
	if code == "" && resp.StatusCode != http.StatusOK {
		code = resp.Status
	}
	return code, strings.TrimSpace(string(b))
}

func TestAnalystsReadAndNothingElse(t *testing.T) {
	expect(t, play(t, "sandbox", t.TempDir()), "asked true", "stored 200 2\t1",
		"given  516", "given analyst 516", "given analyst:wrong 516", "given keeper:look 497", "given analyst:s3cret 516")
	if _, err := os.Stat("/tmp/earshot-outfile"); err == nil {
		t.Error("an analyst wrote a file")
	}
}
