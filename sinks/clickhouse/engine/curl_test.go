package engine_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/earshot/earshot/sinks/clickhouse/engine/enginetest"
)

var update = flag.Bool("update", false, "rewrite the expected output under testdata from what curl prints")

// Each file under testdata/curl is a shell script of curl calls, named as a claim,
// then a line of dashes, then what it prints. $URL is the engine with a fresh
// database in the query string, so calls add parameters with &.
func TestCurl(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatalf("curl is not on this machine: %v; install it, these tests are never skipped", err)
	}
	files, err := filepath.Glob("testdata/curl/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			script, want, ok := strings.Cut(string(text), "\n-----\n")
			if !ok {
				t.Fatalf("%s has no line of dashes", file)
			}
			dsn := enginetest.Start(t)
			i := strings.LastIndexByte(dsn, '/')
			cmd := exec.Command("sh", "-c", "curl() { command curl -sS \"$@\"; }\n"+script)
			cmd.Env = append(os.Environ(), "HOST="+dsn[:i], "DB="+dsn[i+1:], "URL="+dsn[:i]+"/?database="+dsn[i+1:], "no_proxy=*")
			cmd.Dir = t.TempDir()
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("script: %v", err)
			}
			got := scrub(out, dsn[i+1:])
			if *update {
				if err := os.WriteFile(file, []byte(script+"\n-----\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// changing is what differs from run to run in curl's output.
var changing = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`\r`), ""},
	{regexp.MustCompile(`(?m)^Date: .*`), "Date: …"},
	{regexp.MustCompile(`(?m)^(X-Clickhouse-Server-Display-Name|X-Clickhouse-Timezone): .*`), "$1: …"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`), "<id>"},
	{regexp.MustCompile(`"elapsed_ns":"\d+"`), `"elapsed_ns":"…"`},
	{regexp.MustCompile(`"elapsed": [0-9.e-]+`), `"elapsed": …`},
	{regexp.MustCompile(`<elapsed>.*</elapsed>`), "<elapsed>…</elapsed>"},
	{regexp.MustCompile(`Expected one of: .* \(SYNTAX_ERROR\)`), "Expected one of: … (SYNTAX_ERROR)"},
	{regexp.MustCompile(`elapsed [0-9.]+ ms`), "elapsed … ms"},
	{regexp.MustCompile(`(Memory limit exceeded|limit for query\) exceeded): .*`), "$1: …"},
	{regexp.MustCompile(`(?m)^X-Clickhouse-Exception-Tag: .*`), "X-Clickhouse-Exception-Tag: …"},
}

func scrub(out []byte, database string) string {
	out = bytes.ReplaceAll(out, []byte(database), []byte("<database>"))
	for _, c := range changing {
		out = c.pattern.ReplaceAll(out, []byte(c.with))
	}
	return string(out)
}
