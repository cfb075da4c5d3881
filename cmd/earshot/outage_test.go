package main

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A node whose ClickHouse is not there takes events all the same, says so, and stores them when it is.
func TestEventsWaitForAnAbsentClickHouse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	dir := dataFolder(t)
	outside := []string{"EARSHOT_CLICKHOUSE_DSN=http://owner:known@" + addr, "EARSHOT_DATABASE=away"}
	up := startUp(t, dir, outside...)
	if code, answer, err := post(up.Gateway+"/v1/feedback", "text/plain", []byte("Nobody answered.")); err != nil || code != http.StatusAccepted {
		t.Fatalf("without ClickHouse: %d %s %v", code, answer, err)
	}
	resp, err := http.Get(up.Gateway + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("/readyz answers %d although ClickHouse is away", resp.StatusCode)
	}
	missed := dataFolder(t)
	if err := os.Mkdir(missed, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(missed, ownerFile), []byte("known"), 0o400); err != nil {
		t.Fatal(err)
	}
	startUp(t, missed, "EARSHOT_ENGINE_ADDR="+addr) // its engine is the ClickHouse that was missed
	cmd := earshot(t, dir, "reconcile", "--json")
	cmd.Env = append(cmd.Env, outside...)
	for {
		stdout, stderr, code := output(t, cmd)
		var b balance
		if code == 0 && json.Unmarshal([]byte(stdout), &b) == nil {
			if b.Stored != 1 || !b.Exact {
				t.Errorf("after it came back: %+v", b)
			}
			return
		}
		if !strings.Contains(stderr, "not dealt with") && !strings.Contains(stderr, "away") {
			t.Fatalf("code %d: %s%s", code, stdout, stderr)
		}
		cmd = earshot(t, dir, "reconcile", "--json")
		cmd.Env = append(cmd.Env, outside...)
	}
}
