package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// Another process, such as a node, ends the switch just before this one would have: that is a good end, said as one.
func TestReclassifyIsOvertaken(t *testing.T) {
	t.Parallel() // much of it is waiting
	dir := dataFolder(t)
	b := &busy{running: startUp(t, dir, "EARSHOT_SHARDS=2"), t: t, dir: dir}
	b.send(50)
	b.counted(50)
	b.stop()
	for i, c := range []struct{ name, kill, rival string }{
		{"before it looks whether there is one to finish", "fence", "load 2"},
		{"while it finishes one", "fence", "SetLive"},
		{"when it has begun", "", "hold"},
		{"when the views are switched", "", "release"},
	} {
		if c.kill != "" {
			if _, stderr, code := output(t, reclassifyCmd(t, dir, "kill="+c.kill)); code != -1 {
				t.Fatalf("%s: it was not killed: %s", c.name, stderr)
			}
		}
		stdout, stderr, code := output(t, reclassifyCmd(t, dir, "rival="+c.rival, "--json"))
		var r reclassified
		err := json.Unmarshal([]byte(stdout), &r)
		if code != 0 || err != nil || r.Live != uint32(i+2) || !strings.Contains(stderr, "the rival finished it: true") {
			t.Errorf("overtaken %s: code %d, %s%s", c.name, code, stdout, stderr)
		}
	}
	b.running = startUp(t, dir, "EARSHOT_SHARDS=2")
	b.counted(50)
	b.stop()
}
