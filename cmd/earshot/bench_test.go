package main

import (
	"bytes"
	"encoding/json"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/earshot/earshot/schemas"
)

// The figures of so small a measurement mean nothing, so the naive ratio may be anything; what was stored may not.
func TestBenchFindsEveryEventStoredOnceByEveryContender(t *testing.T) {
	const events = 2000
	stdout, stderr, code := output(t, earshot(t, dataFolder(t), "bench", "--events", "2000", "--rounds", "1", "--json"))
	var r benchResult
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatalf("code %d and no JSON: %v\n%s%s", code, err, stdout, stderr)
	}
	var names []string
	var content []uint64
	for _, m := range r.Runs {
		names = append(names, m.Contender)
		if m.Counted != events || m.Seconds <= 0 {
			t.Errorf("%s: counts %d of %d events after %v s", m.Contender, m.Counted, events, m.Seconds)
		}
		if m.writes() {
			content = append(content, m.Content)
			if m.Distinct != events {
				t.Errorf("%s: stored %d different events of %d", m.Contender, m.Distinct, events)
			}
		}
	}
	if !slices.Equal(names, contenders) {
		t.Errorf("ran %v, want %v", names, contenders)
	}
	if len(content) != 2 || content[0] == 0 || content[0] != content[1] {
		t.Errorf("the rows of the two that store differ: %v", content)
	}
	failed := len(r.Faults) > 0
	if failed && (len(r.Faults) > 1 || !strings.HasPrefix(r.Faults[0], "clickhouse ÷ naive is ")) {
		t.Errorf("faults beside the speed: %q", r.Faults)
	}
	if want := map[bool]int{false: exitOK, true: exitFailed}[failed]; code != want {
		t.Errorf("exit code %d with faults %q, want %d", code, r.Faults, want)
	}
}

// measured is a measurement of two rounds without a fault.
func measured() *benchResult {
	r := &benchResult{Events: 200_000, Rounds: 2, BytesPerEvent: 375.4, Cores: 2}
	for _, speed := range [][]float64{{200_000, 150_000, 96_000, 20_000}, {180_000, 153_000, 72_000, 24_000}} {
		for i, name := range contenders {
			m := &benchRun{Contender: name, PerSecond: speed[i], Seconds: 200_000 / speed[i], CPUPerEvent: 4.5 + float64(i),
				PeakBytes: int64(i+1) << 26, ServerCPU: 20, Foreign: 0.04, Counted: 200_000}
			if m.writes() {
				m.Distinct, m.Content = 200_000, 77
			}
			r.Runs = append(r.Runs, m)
		}
	}
	return r
}

func TestBenchFaults(t *testing.T) {
	for _, c := range []struct {
		claim string
		spoil func(r *benchResult)
		want  string // "": no fault
	}{
		{"a good measurement has none", func(r *benchResult) {}, ""},
		{"a lost row", func(r *benchResult) { r.Runs[6].Counted-- }, "clickhouse counts 199999 of 200000 events in round 2"},
		{"a row too many", func(r *benchResult) { r.Runs[3].Counted++ }, "naive counts 200001 of 200000 events in round 1"},
		{"a redelivered message", func(r *benchResult) { r.Runs[0].Counted++ }, "limit counts 200001 of 200000 events in round 1"},
		{"one event twice and another not at all", func(r *benchResult) { r.Runs[7].Distinct-- }, "naive stored 199999 different events of 200000 in round 2"},
		{"rows with other content", func(r *benchResult) { r.Runs[6].Content++ }, "the rows of clickhouse in round 2 are not those of the others"},
		{"not twice as fast as naive", func(r *benchResult) { r.Runs[2].PerSecond, r.Runs[6].PerSecond = 20_000, 48_000 }, "clickhouse ÷ naive is 1.50, at least 2 is wanted"},
		{"a slow round in which the machine was busy", func(r *benchResult) { r.Runs[6].PerSecond, r.Runs[6].Foreign = 1000, 0.5 }, ""},
		{"a fast round in which the machine was busy", func(r *benchResult) {
			r.Runs[2].PerSecond, r.Runs[3].Foreign, r.Runs[6].PerSecond = 1e6, 0.2, 36_000
		}, "clickhouse ÷ naive is 1.50, at least 2 is wanted"},
		{"a machine that was never quiet", func(r *benchResult) {
			for _, m := range r.Runs {
				m.Foreign = 0.5
			}
			r.Runs[2].PerSecond, r.Runs[6].PerSecond = 20_000, 48_000
		}, "clickhouse ÷ naive is 1.50, at least 2 is wanted"},
		{"below the floors that are no gates", func(r *benchResult) { r.Runs[0].PerSecond, r.Runs[4].PerSecond = 1e7, 1e7 }, ""},
	} {
		r := measured()
		c.spoil(r)
		r.judge()
		if got := strings.Join(r.Faults, "\n"); got != c.want {
			t.Errorf("%s: faults %q, want %q", c.claim, got, c.want)
		}
	}
}

func TestBenchTableIsReadable(t *testing.T) {
	r := measured()
	r.Runs[1].PeakBytes, r.Runs[5].PeakBytes = 0, 0
	r.judge()
	var got bytes.Buffer
	if err := r.print(&got); err != nil {
		t.Fatal(err)
	}
	const want = `200,000 events of 375 bytes, 2 rounds, 2 cores

contender    events/s   min–max           CPU µs/event   of servers   peak RSS   foreign CPU   verified
limit         190,000   180,000–200,000            4.5         20.0     64 MiB           4 %    200,000
null          151,500   150,000–153,000            5.5         20.0          –           4 %    200,000
clickhouse     84,000   72,000–96,000              6.5         20.0    192 MiB           4 %    200,000
naive          22,000   20,000–24,000              7.5         20.0    256 MiB           4 %    200,000

ratio                median   rounds      floor
null ÷ limit           0.80   0.75 0.85    0.70   ok
clickhouse ÷ limit     0.44   0.48 0.40    0.45   below
clickhouse ÷ naive     3.90   4.80 3.00    2.00   ok
`
	if got.String() != want {
		t.Errorf("found:\n%s\nwant:\n%s", got.String(), want)
	}
}

func TestBenchSaysWhichRoundsTheMachineWasBusyIn(t *testing.T) {
	r := measured()
	r.Runs[6].Foreign = 0.4
	r.judge()
	var got bytes.Buffer
	if err := r.print(&got); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"null ÷ limit           0.80   0.75 0.85      0.70   ok\n",
		"clickhouse ÷ naive     4.80   4.80 (3.00)    2.00   ok\n",
		"In 1 of 8 runs other programs took more than 10 % of the machine.",
	} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("%q is not in:\n%s", want, got.String())
		}
	}
}

// What is measured must not change from start to start, and must be what the gateway would have let in.
func TestBenchEventsAreTheSameEveryTimeAndKeepTheContract(t *testing.T) {
	const events = 5000
	a, err := newGenerator()
	if err != nil {
		t.Fatal(err)
	}
	b, err := newGenerator()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[schemas.EventID]bool{}
	languages := map[string]bool{}
	size := 0
	for i := range events {
		e := a.next()
		text := schemas.AppendStructured(nil, e)
		if other := schemas.AppendStructured(nil, b.next()); !bytes.Equal(text, other) {
			t.Fatalf("event %d: once %s and once %s", i, text, other)
		}
		if _, problems := schemas.DecodeStructured(text, benchStart.AddDate(0, 1, 0)); len(problems) > 0 {
			t.Fatalf("event %d: %v: %s", i, problems, text)
		}
		seen[e.Identity()] = true
		languages[e.Data.Language] = true
		size += len(text)
	}
	if len(seen) != events {
		t.Errorf("%d different identities of %d events", len(seen), events)
	}
	if mean := size / events; mean < 340 || mean > 410 {
		t.Errorf("events have %d bytes on average, want about 375", mean)
	}
	if len(languages) < 2 {
		t.Errorf("all texts are of %v", languages)
	}
}

func TestBenchRefusesWhatItCannotMeasure(t *testing.T) {
	for _, args := range [][]string{{"bench", "--events", "-1"}, {"bench", "--rounds", "-3"}, {"bench", "more"}, {"bench", contenderArg}} {
		if _, stderr, code := output(t, earshot(t, dataFolder(t), args...)); code != exitUsage {
			t.Errorf("%q: code %d, want %d: %s", args, code, exitUsage, stderr)
		}
	}
}

// On Linux, where a measurement counts processor time and memory, both are found.
func TestBenchReadsWhatAProcessUses(t *testing.T) {
	if runtime.GOOS != "linux" {
		return
	}
	before := readConsumption(os.Getpid())
	x := uint64(1)
	for readConsumption(os.Getpid()).self < before.self+5*tick {
		for range 1_000_000 {
			x = x*6364136223846793005 + 1
		}
	}
	after := readConsumption(os.Getpid())
	if after.busy <= before.busy || after.child <= before.child || x == 0 {
		t.Errorf("work leaves no trace: before %+v, after %+v", before, after)
	}
	if f := after.foreign(before); f < 0 || f > 1 {
		t.Errorf("others took %v of the machine", f)
	}
	if m := peakMemory(os.Getpid()); m < 1<<20 || m > 1<<40 {
		t.Errorf("this process has %d bytes resident", m)
	}
}
