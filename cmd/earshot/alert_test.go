package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAlertCheckNamesEveryFaultWithItsLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte("rules:\n  - alert: A\n    detector: magic\n    colour: red\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	signed, unsigned := filepath.Join(t.TempDir(), "signed.yaml"), filepath.Join(t.TempDir(), "unsigned.yaml")
	for name, more := range map[string]string{signed: "    unsigned: true\n", unsigned: ""} {
		if err := os.WriteFile(name, []byte("receivers:\n  - name: own\n    type: webhook\n    url: https://hooks.acme.example/\n"+more), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		claim          string
		args           []string
		code           int
		stdout, stderr string
		receivers      string
	}{
		{"the shipped rules have no faults", []string{"check"}, 0, "8 rules, no faults", "", ""},
		{"and can be printed", []string{"check", "--print"}, 0, "alert: NegativeSpike", "", ""},
		{"both faults are named", []string{"check", file}, 1, "", "rules.yaml:3: detector", ""},
		{"with the line of each", []string{"check", file}, 1, "", "rules.yaml:4: a rule: there is no key", ""},
		{"receivers are checked too", []string{"check"}, 0, "1 receivers, no faults", "", signed},
		{"a webhook is signed unless it is said", []string{"check"}, 1, "", "unsigned.yaml:2: secret: is missing", unsigned},
		{"a file that is not there", []string{"check", file + "x"}, 1, "", "EARSHOT_ALERT_RULES", ""},
		{"nothing to do", nil, 2, "", "earshot alert -h", ""},
		{"a mute without a value", []string{"mute", "channel="}, 2, "", "wants a value", ""},
		{"a mute by what no alert has", []string{"mute", "foo=bar"}, 2, "", "use one of alertname, severity, tenant", ""},
		{"what it cannot do", []string{"dance"}, 2, "", "dance", ""},
	} {
		cmd := earshot(t, dataFolder(t), append([]string{"alert"}, c.args...)...)
		cmd.Env = append(cmd.Env, "EARSHOT_ALERT_RECEIVERS="+c.receivers)
		stdout, stderr, code := output(t, cmd)
		if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) {
			t.Errorf("%s: code %d, %q, %q", c.claim, code, stdout, stderr)
		}
	}
}
