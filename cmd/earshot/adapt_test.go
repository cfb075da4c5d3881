package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// correctedEvents are events of one tenant in words of its own, each with the correction that a person sent.
func correctedEvents(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		text, label := fmt.Sprintf("the flurb gave us %d grommets", i), "negative"
		if i%2 == 0 {
			text, label = fmt.Sprintf("the squonk gave us %d grommets", i), "positive"
		}
		id := fmt.Sprintf("e%d", i)
		b.WriteByte("[,"[min(i, 1)])
		b.WriteString(event(id, text))
		fmt.Fprintf(&b, `,{"specversion":"1.0","id":"fix-%s","source":"/desk","type":"label.corrected.v1","time":"2026-11-20T08:31:07Z","tenantid":"acme","data":{"event_ref":"/test/story#%s","axis":"polarity","new_value":%q}}`, id, id, label)
	}
	b.WriteByte(']')
	return b.Bytes()
}

func TestCorrectionsBecomeTheTenantsModel(t *testing.T) {
	dir := dataFolder(t)
	up := startUp(t, dir)
	if code, body, err := post(up.Gateway+"/v1/events", batchType, correctedEvents(80)); err != nil || code != http.StatusAccepted {
		t.Fatalf("events: %d %s %v", code, body, err)
	}
	if b := reconciled(t, dir); !b.Exact || b.Stored != 160 {
		t.Fatalf("reconcile says %+v, want 160 stored", b)
	}
	stdout, stderr, code := output(t, earshot(t, dir, "adapt", "--tenant", "acme"))
	if code != 0 || !strings.Contains(stdout, "80 corrections") || !strings.Contains(stdout, "0001.bin: adapted-1+") {
		t.Fatalf("adapt: code %d\n%s%s", code, stdout, stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, "models", "acme", "0001.bin.card.json")); err != nil {
		t.Errorf("no card beside the model: %v", err)
	}
	up.stop()
	up = startUp(t, dir)
	other := strings.ReplaceAll(event("z1", "another flurb"), `"acme"`, `"other"`)
	if code, body, err := post(up.Gateway+"/v1/events", batchType, []byte("["+event("z", "another flurb")+","+other+"]")); err != nil || code != http.StatusAccepted {
		t.Fatalf("events after the restart: %d %s %v", code, body, err)
	}
	reconciled(t, dir)
	got := ask(t, dir, "SELECT tenant, polarity, startsWith(model, 'adapted-1+') FROM feedback WHERE text = 'another flurb' ORDER BY tenant")
	if want := "acme\tnegative\t1\nother\tneutral\t0"; got != want {
		t.Errorf("rows after the restart:\n%s\nwant\n%s", got, want)
	}
	up.stop()
}

func TestAdaptRefusesWhatItCannotLearnFrom(t *testing.T) {
	dir := dataFolder(t)
	file := filepath.Join(t.TempDir(), "fixes.jsonl")
	if err := os.WriteFile(file, []byte("{\"text\":\"love it\",\"label\":\"positive\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := output(t, earshot(t, dir, "adapt", "--tenant", "acme", file))
	if code != 1 || !strings.Contains(stdout, "too few") || !strings.Contains(stderr, "the model stays as it is") {
		t.Errorf("code %d, %q, %q", code, stdout, stderr)
	}
	if _, _, code := output(t, earshot(t, dir, "adapt", "--tenant", "../x", file)); code != exitUsage {
		t.Errorf("a tenant's name that leaves the folder: code %d, want 2", code)
	}
}
