package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Who reaches the embedded ClickHouse reads the figures and changes nothing; the commands of the node's owner do both.
func TestTheEmbeddedClickhouseIsForReading(t *testing.T) {
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("look\n"), 0o400); err != nil {
		t.Fatal(err)
	}
	dir := dataFolder(t)
	up := startUp(t, dir, "EARSHOT_ANALYST_PASSWORD_FILE="+password)
	address := withoutUser(up.Clickhouse)
	ask := func(with, sql string) int {
		code, _, err := post(strings.Replace(address, "//", "//"+with, 1)+"/?database="+up.Database, "text/plain", []byte(sql))
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	for _, c := range []struct {
		with, sql string
		want      int
	}{
		{"", "SELECT count() FROM feedback", http.StatusForbidden},
		{"analyst:wrong@", "SELECT count() FROM feedback", http.StatusForbidden},
		{"analyst:look@", "SELECT count() FROM feedback", http.StatusOK},
		{"analyst:look@", "SELECT * FROM csat", http.StatusOK},
		{"analyst:look@", "SELECT count() FROM data_dictionary", http.StatusOK},
		{"analyst:look@", "TRUNCATE TABLE feedback", http.StatusForbidden},
		{"analyst:look@", "SELECT * FROM file('" + password + "', LineAsString)", http.StatusForbidden},
	} {
		if got := ask(c.with, c.sql); got != c.want {
			t.Errorf("%s%s: %d, want %d", c.with, c.sql, got, c.want)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, ownerFile)); err != nil || info.Mode().Perm() != 0o400 {
		t.Errorf("the owner's password: %v %v", info, err)
	}
	if stdout, stderr, code := output(t, earshot(t, dir, "query", "--format", "TSV", "SELECT count() FROM system.processes")); code != 0 {
		t.Errorf("the owner's query: %d %s %s", code, stdout, stderr)
	}
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.0.2.1:8123"} {
		cmd := earshot(t, dir, "config")
		cmd.Env = append(cmd.Env, "EARSHOT_ENGINE_ADDR="+addr)
		if _, stderr, code := output(t, cmd); code == 0 || !strings.Contains(stderr, "EARSHOT_ANALYST_PASSWORD_FILE") {
			t.Errorf("an engine on %s that asks for no password: %d %s", addr, code, stderr)
		}
	}
}
