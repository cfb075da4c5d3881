package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// Help on a command is had by "help adapt" as well as by "adapt --help", and is the same.
func TestHelpOfEveryCommand(t *testing.T) {
	for _, c := range commands() {
		var after, before bytes.Buffer
		if code := run([]string{c.name, "--help"}, strings.NewReader(""), io.Discard, &after); code != exitOK {
			t.Errorf("%s --help: exit code %d", c.name, code)
		}
		if code := run([]string{"help", c.name}, strings.NewReader(""), io.Discard, &before); code != exitOK || before.String() != after.String() {
			t.Errorf("help %s: exit code %d, %q; want what %s --help says, %q", c.name, code, before.String(), c.name, after.String())
		}
		if !strings.HasPrefix(after.String(), "usage: earshot "+c.name) {
			t.Errorf("%s --help says %q", c.name, after.String())
		}
	}
	for _, line := range []string{"case open -h", "case respond --help", "case open c-1 -h", "alert list -h", "themes list -h", "key create -h", "customer x -h", "query SELECT -h", "bench queries -h", "dlq list -h"} {
		var said bytes.Buffer
		t.Setenv("EARSHOT_DATA_DIR", dataFolder(t))
		if code := run(strings.Fields(line), strings.NewReader(""), io.Discard, &said); code != exitOK || !strings.Contains(strings.ToLower(said.String()), "usage") {
			t.Errorf("%s: exit code %d, %q", line, code, said.String())
		}
	}
	for _, args := range [][]string{{"help", "nosuch"}, {"nosuch"}, nil} {
		if code := run(args, strings.NewReader(""), io.Discard, io.Discard); code != exitUsage {
			t.Errorf("%q: exit code %d, want %d", args, code, exitUsage)
		}
	}
}
