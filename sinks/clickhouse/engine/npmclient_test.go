package engine_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/earshot/earshot/sinks/clickhouse/engine/enginetest"
)

// npmClient is the JavaScript client the test runs, pinned.
const npmClient = "@clickhouse/client@1.23.1"

// wanted is what testdata/client.mjs prints.
const wanted = `{"step":"ping","value":true}
{"step":"insert","value":[true,"2"]}
{"step":"rows","value":[{"n":10002,"s":50025003}]}
{"step":"document","value":[2,[{"id":1,"name":"one","tags":[]},{"id":2,"name":"it's \"two\"\n","tags":["a","ü"]}]]}
{"step":"parameters","value":[{"s":"tab\t'quote' \\ line\n","a":[1,2],"d":"2026-02-28 23:59:59.999","n":null,"m":{"k":1},"b":true}]}
{"step":"stream","value":[1000000,499999500000]}
{"step":"unknown table","value":["60","UNKNOWN_TABLE"]}
{"step":"bad insert","value":["27","CANNOT_PARSE_INPUT_ASSERTION_FAILED"]}
{"step":"broken stream","value":["395","FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"]}
{"step":"session","value":[{"x":42}]}
{"step":"compressed","value":[{"name":"packed"}]}
{"step":"cancelled","value":true}
{"step":"gone","value":true}
`

func TestOfficialJavaScriptClient(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("node is not on this machine: %v; install Node.js 20 or later, these tests are never skipped", err)
	}
	modules := installClient(t)
	dsn := enginetest.Start(t)
	i := strings.LastIndexByte(dsn, '/')
	var out, problems bytes.Buffer
	cmd := exec.CommandContext(t.Context(), node, "testdata/client.mjs", dsn[:i], dsn[i+1:], modules)
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		t.Errorf("node: %v\n%s", err, problems.Bytes())
	}
	if diff := cmp.Diff(wanted, out.String()); diff != "" {
		t.Error(diff)
	}
}

// installClient installs the client once into the user's cache and returns its
// directory.
func installClient(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "earshot", "npm", strings.NewReplacer("/", "-", "@", "").Replace(npmClient))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	lock, err := os.Create(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	done := filepath.Join(dir, "installed")
	if _, err := os.Stat(done); err == nil {
		return dir
	}
	cmd := exec.CommandContext(t.Context(), "npm", "install", "--prefix", dir, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error", npmClient)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm install %s: %v: %s", npmClient, err, out)
	}
	if err := os.WriteFile(done, []byte(npmClient+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}
