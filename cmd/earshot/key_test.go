package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// A key is made, works for what it is for, is ended, and shows nowhere but in the answer to its making.
func TestKeysFromTheCommandLineToTheGateway(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	run := func(want int, args ...string) (string, string) {
		t.Helper()
		stdout, stderr, code := output(t, earshot(t, dir, args...))
		if code != want {
			t.Fatalf("%v: code %d: %s%s", args, code, stdout, stderr)
		}
		return strings.TrimSpace(stdout), stderr
	}
	token, _ := run(exitOK, "key", "create", "--name", "shop", "--tenant", "acme", "--channels", "support")
	run(exitFailed, "key", "create")
	run(exitFailed, "key", "create", "--name", "x", "--channels", "telex")
	run(exitUsage, "key")
	run(exitUsage, "key", "revoke")
	run(exitFailed, "key", "revoke", "nobody")
	up := startUp(t, dir)
	send := func(id, key string) int {
		t.Helper()
		header := []string{}
		if key != "" {
			header = append(header, "Authorization", "Bearer "+key)
		}
		code, _, err := post(up.Gateway+"/v1/events", "application/cloudevents+json", []byte(event(id, "Late again")), header...)
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	if code := send("1", ""); code != http.StatusUnauthorized {
		t.Errorf("without a key: %d", code)
	}
	if code := send("2", token); code != http.StatusAccepted {
		t.Errorf("with the key: %d", code)
	}
	// publish sends with the key of its environment.
	file := writeFile(t, filepath.Join(t.TempDir(), "x.ndjson"), event("3", "Late again")+"\n")
	if _, stderr, code := output(t, earshot(t, dir, "publish", file)); code != exitFailed || !strings.Contains(stderr, "401") {
		t.Errorf("publish without the key: %d %s", code, stderr)
	}
	cmd := earshot(t, dir, "publish", file)
	cmd.Env = append(cmd.Env, "EARSHOT_SEND_KEY="+token)
	if stdout, stderr, code := output(t, cmd); code != exitOK {
		t.Errorf("publish with the key: %d %s%s", code, stdout, stderr)
	}
	list, _ := run(exitOK, "key", "list")
	id := strings.Split(token, "_")[1]
	if !strings.Contains(list, id+"\tshop\ttenant acme\tchannels support") {
		t.Errorf("the list is %s", list)
	}
	run(exitOK, "key", "revoke", id)
	for send("4", token) != http.StatusUnauthorized { // within a second
	}
	secret := strings.Split(token, "_")[2]
	list, _ = run(exitOK, "key", "list")
	cmd = earshot(t, dir, "config")
	cmd.Env = append(cmd.Env, "EARSHOT_SEND_KEY="+token)
	config, _, _ := output(t, cmd)
	if strings.Contains(up.log.String()+list+config, secret) || !strings.Contains(list, "revoked") {
		t.Error("the key shows where it should not, or is not revoked")
	}
	up.stop()
	if _, err := openKeys(&Config{KeysFile: filepath.Join(dir, "none.json")}, dir); err == nil {
		t.Error("a file of keys that was named but is not there opened the gateway")
	}
}
