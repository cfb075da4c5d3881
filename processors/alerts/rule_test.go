package alerts

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestShippedRulesHaveNoFaults(t *testing.T) {
	rules, err := ParseRules("rules.yaml", ShippedRules())
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, r := range rules {
		names[r.Name] = true
	}
	for _, want := range []string{"NegativeSpike", "NegativeSpikeElement", "NegativeSpikeTheme", "VolumeSurge", "SafetyConcern", "AnswerOverdue"} {
		if !names[want] {
			t.Errorf("there is no %s among the shipped rules", want)
		}
	}
}

// Every file of faults gives all its faults at once, with their lines, as its golden file says.
func TestFaultsOfRules(t *testing.T) {
	files, err := filepath.Glob("testdata/rules/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		rules, err := ParseRules(filepath.Base(file), text)
		var faults Faults
		if !errors.As(err, &faults) || rules != nil {
			t.Errorf("%s: %d rules and %v, want faults", file, len(rules), err)
			continue
		}
		golden := strings.TrimSuffix(file, ".yaml") + ".golden"
		if *update {
			if err := os.WriteFile(golden, []byte(faults.Error()+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got := faults.Error() + "\n"; got != string(want) {
			t.Errorf("%s:\n%swant:\n%s", file, got, want)
		}
	}
}

func FuzzRulesNeverPanic(f *testing.F) {
	f.Add(ShippedRules())
	f.Add([]byte("rules: [{alert: a, by: {}}, 3, &x [*x]]"))
	f.Add([]byte("rules:\n- alert: A\n  detector: sla\n  where: 3\n  windows: 1h"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if rules, err := ParseRules("f", text); err == nil {
			for _, r := range rules {
				if len(r.Windows) == 0 || r.Name == "" || r.Detector == "" {
					t.Errorf("a rule that cannot be run was taken: %+v", r)
				}
			}
		}
	})
}
