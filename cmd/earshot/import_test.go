package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// faultyCSV is a file of so many records of which so many are bad, each in one of several ways, with the lines of the bad.
func faultyCSV(t *testing.T, path string, records, bad int) (lines map[string]bool) {
	t.Helper()
	var b strings.Builder
	b.WriteString("ticket;created;words;score;of\n")
	faults := []string{"T-%d;2026-11-20 10:00;Slow;nine;1-5\n", "T-%d;yesterday;Slow;2;1-5\n", "T-%d;2026-11-20 10:00;Slow\n", "T-%d;2026-11-20 10:00;;;\n",
		"T-%d;2026-11-20 10:00;Slow;7;1-5\n", "T-%d;2026-11-20 10:00;\"Slow;2;1-5\n", "T-%d;2026-11-20 10:00;\"Slow\"er;2;1-5\n"}
	lines = map[string]bool{}
	for i := range records {
		line := i + 2
		if bad > 0 && i%(records/bad) == 7 {
			fmt.Fprintf(&b, faults[len(lines)%len(faults)], i)
			lines[fmt.Sprint(line)] = true
			continue
		}
		fmt.Fprintf(&b, "T-%d;2026-11-20 10:00;Paket %d kam zerdr\xfcckt an;%d;1-5\n", i, i, i%5+1)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if len(lines) != bad {
		t.Fatalf("%d bad lines, want %d", len(lines), bad)
	}
	return lines
}

const importMapping = `{"fields":{"id":"ticket","time":"created","text":"words","rating":"score","scale":"of"},"set":{"channel":"support"},"zone":"Europe/Vienna"}`

func writeFile(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Good records are stored, each bad one is reported with its line, and an import that was killed again and again ends
// with the same sums as one that was not.
func TestAnImportThatIsKilledEndsExact(t *testing.T) {
	t.Parallel()
	records, bad := long(6_000, 100_000), long(60, 100)
	folder, dir := t.TempDir(), dataFolder(t)
	file := filepath.Join(folder, "answers.csv")
	want := faultyCSV(t, file, records, bad)
	m := writeFile(t, filepath.Join(folder, "map.json"), importMapping)
	up := startUp(t, dir)
	reported := map[string]bool{}
	collect := func(stderr string) {
		for _, hit := range regexp.MustCompile(`answers\.csv, line (\d+): `).FindAllStringSubmatch(stderr, -1) {
			reported[hit[1]] = true
		}
	}
	kills := 0
	for ; kills < 4; kills++ {
		before := readProgress(file)
		cmd := earshot(t, dir, "import", "--mapping", m, "--batch", "100", "--parallel", "2", "--url", up.Gateway, file)
		log := &lockedBuffer{}
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { cmd.Wait(); close(ended) }()
		for readProgress(file) == before { // it came further; now it ends in the middle of something
			select {
			case <-ended:
				t.Fatalf("ended by itself: %s", log)
			case <-time.After(time.Millisecond):
			}
		}
		cmd.Process.Kill()
		<-ended
		collect(log.String())
	}
	stdout, stderr, code := output(t, earshot(t, dir, "import", "--mapping", m, "--url", up.Gateway, file))
	collect(stderr)
	sum := fmt.Sprintf("%d records: %d stored or known already, %d refused\n", records, records-bad, bad)
	if stdout != sum || code != exitFailed {
		t.Errorf("after %d kills: code %d, %q, want %q\n%s", kills, code, stdout, sum, stderr)
	}
	if !strings.Contains(stderr, "encoding windows-1252, delimiter ';'") || !strings.Contains(stderr, "going on") {
		t.Errorf("it does not say what it found: %.300s", stderr)
	}
	for line := range want {
		if !reported[line] {
			t.Errorf("the bad line %s is not reported", line)
		}
	}
	if info, err := os.Stat(file + ".progress"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file of the progress: %v, %v", info.Mode(), err)
	}
	if len(reported) != bad {
		t.Errorf("%d lines are reported, %d are bad", len(reported), bad)
	}
	if b := reconciled(t, dir); !b.Exact || b.Stored != uint64(records-bad) || b.Dead != 0 {
		t.Errorf("reconcile says %+v, want %d stored", b, records-bad)
	}
	if got := ask(t, dir, "SELECT count(), uniqExact(source_event_id), countIf(text LIKE '%zerdrückt%'), min(occurred_at) FROM feedback"); got != fmt.Sprintf("%d\t%d\t%d\t2026-11-20 09:00:00.000", records-bad, records-bad, records-bad) {
		t.Errorf("stored are %s", got)
	}
	// Once more: it is known to be done; anew: nothing is stored twice.
	stdout, stderr, _ = output(t, earshot(t, dir, "import", "--mapping", m, "--url", up.Gateway, file))
	if stdout != sum || !strings.Contains(stderr, "already") {
		t.Errorf("once more: %q %q", stdout, stderr)
	}
	if stdout, _, _ = output(t, earshot(t, dir, "import", "--restart", "--mapping", m, "--url", up.Gateway, file)); stdout != sum {
		t.Errorf("anew: %q", stdout)
	}
	if b := reconciled(t, dir); !b.Exact || b.Stored != uint64(records-bad) || b.Duplicates < uint64(records-bad) {
		t.Errorf("anew, reconcile says %+v", b)
	}
	up.stop()
}

func readProgress(file string) string {
	b, err := os.ReadFile(file + ".progress")
	if err != nil {
		return ""
	}
	return string(b)
}

func TestADryRunSendsNothingAndSaysEverything(t *testing.T) {
	folder := t.TempDir()
	m := writeFile(t, filepath.Join(folder, "map.json"), importMapping)
	jm := writeFile(t, filepath.Join(folder, "jmap.json"), `{"fields":{"text":"a.b","rating":"n"},"set":{"channel":"web"}}`)
	csv := filepath.Join(folder, "x.csv")
	faultyCSV(t, csv, 100, 2)
	utf16 := "\xff\xfe"
	for _, r := range "ticket\tcreated\twords\tscore\tof\nT-1\t2026-11-20 10:00\tŽlutý\t2\t1-5\n" {
		utf16 += string([]byte{byte(r), byte(r >> 8)})
	}
	for _, c := range []struct {
		claim  string
		args   []string
		code   int
		stdout string
		stderr string
	}{
		{"a CSV file", []string{"--mapping", m, csv}, exitFailed, "100 records: 98 would be sent, 2 refused", "x.csv, line 9: rating"},
		{"the first event is shown", []string{"--mapping", m, csv}, exitFailed, `"id":"T-0","source":"/import/x"`, ""},
		{"UTF-16 with tabs", []string{"--mapping", m, writeFile(t, filepath.Join(folder, "u.csv"), utf16)}, exitOK, "Žlutý", "utf-16le"},
		{"JSON lines", []string{"--mapping", jm, writeFile(t, filepath.Join(folder, "x.jsonl"), "{\"a\":{\"b\":\"Slow\"}}\n\n{\"n\":9}\nnonsense\n{\"n\":3}\n")}, exitFailed,
			"4 records: 2 would be sent, 2 refused", "x.jsonl, line 4: "},
		{"a mail box", []string{writeFile(t, filepath.Join(folder, "x.mbox"), readText(t, "../../ingest/channels/testdata/samples/mail/mbox.mbox"))}, exitOK, "2 records: 2 would be sent, 0 refused", ""},
		{"a column that is not there", []string{"--mapping", m, writeFile(t, filepath.Join(folder, "y.csv"), "a,b\n1,2\n")}, exitUsage, "", "has no column created, of, score, ticket, words; it has a, b"},
		{"two columns of one name", []string{"--mapping", m, writeFile(t, filepath.Join(folder, "z.csv"), "a,a\n1,2\n")}, exitFailed, "", `two columns "a"`},
		{"a line of JSON that is too long", []string{"--mapping", jm, writeFile(t, filepath.Join(folder, "long.jsonl"), "{\"n\":3}\n{\"n\":\""+strings.Repeat("x", 2<<20)+"\"}\n{\"n\":4}\n")}, exitFailed,
			"3 records: 2 would be sent, 1 refused", "long.jsonl, line 2: is longer than"},
		{"a line of a table that is too long", []string{"--mapping", m, writeFile(t, filepath.Join(folder, "long.csv"), "ticket;created;words;score;of\nT-1;;a;1;1-5\nT-2;;"+strings.Repeat("x", 2<<20)+";1;1-5\nT-3;;b;1;1-5\n")}, exitFailed,
			"3 records: 2 would be sent, 1 refused", "long.csv, line 3: is longer than"},
		{"a bomb", []string{"--mapping", m, writeFile(t, filepath.Join(folder, "bomb.csv"), "\x1f\x8b\x08\x00\x00\x00")}, exitUsage, "", "is compressed"},
		{"a spreadsheet", []string{"--mapping", m, writeFile(t, filepath.Join(folder, "x.xlsx"), "PK\x03\x04\x14\x00")}, exitUsage, "", "is compressed"},
		{"values of every evil kind", []string{"--mapping", jm, writeFile(t, filepath.Join(folder, "evil.jsonl"), "{\"n\":1e999}\n{\"n\":99999999999999999999}\n{\"a\":{\"b\":\"\\u202e\\u200b\\u0000x\"}}\n"+
			strings.Repeat("[", 20_000)+"\n{\"a\":{\"b\":\"\xff\"}}\n")}, exitFailed, "5 records: 2 would be sent, 3 refused", "evil.jsonl, line 4: "},
		{"an empty file", []string{"--mapping", m, writeFile(t, filepath.Join(folder, "e.csv"), "")}, exitFailed, "", "is empty"},
		{"no mapping", []string{csv}, exitUsage, "", "--mapping"},
		{"a mapping with a fault", []string{"--mapping", writeFile(t, filepath.Join(folder, "bad.json"), `{"fields":{"txt":"a"}}`), csv}, exitUsage, "", `no field "txt"`},
		{"an encoding that is none", []string{"--mapping", m, "--encoding", "klingon", csv}, exitFailed, "", "klingon"},
		{"a delimiter that is none", []string{"--mapping", m, "--delimiter", "::", csv}, exitUsage, "", "--delimiter"},
	} {
		stdout, stderr, code := output(t, earshot(t, dataFolder(t), append([]string{"import", "--dry-run"}, c.args...)...))
		if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) {
			t.Errorf("%s: code %d\n%s%s", c.claim, code, stdout, stderr)
		}
	}
	if found, _ := filepath.Glob(filepath.Join(folder, "*.progress")); len(found) > 0 {
		t.Errorf("a dry run left %v", found)
	}
}
