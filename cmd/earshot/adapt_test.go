package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/earshot/earshot/processors/classify"
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
	t.Parallel()
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
	// A newer version that is half a file: the one before it serves.
	half, err := os.ReadFile(filepath.Join(dir, "models", "acme", "0001.bin"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "models", "acme", "0002.bin"), half[:len(half)/2], 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	up = startUp(t, dir)
	if n := strings.Count(up.log.String(), "0002.bin"); n != 1 {
		t.Errorf("the damaged model is named %d times in the log, want once", n)
	}
	resp, err := http.Get(up.Gateway + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if metrics, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(metrics), "\nearshot_models_damaged 1\n") {
		t.Errorf("metrics (%v) without earshot_models_damaged 1:\n%s", err, metrics)
	}
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
	if err := os.WriteFile(file, []byte("\ufeff{\"text\":\"love it\",\"label\":\" Positive\"}\r\n{\"text\":\"love it\",\"label\":\"lovely\"}\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := output(t, earshot(t, dir, "adapt", "--tenant", "acme", file))
	if code != 1 || !strings.Contains(stdout, "too few") || !strings.Contains(stderr, "the model stays as it is") || !strings.Contains(stderr, `left out, line 2: new_value "lovely" is no class of sentiment, which are: negative, neutral, positive`) {
		t.Errorf("code %d, %q, %q", code, stdout, stderr)
	}
	if _, _, code := output(t, earshot(t, dir, "adapt", "--tenant", "../x", file)); code != exitUsage {
		t.Errorf("a tenant's name that leaves the folder: code %d, want 2", code)
	}
}

func TestTheNewestSoundModelServes(t *testing.T) {
	t.Parallel()
	shipped, err := classify.Load()
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string) string {
		h := shipped.Heads().Clone()
		h.Card.Name = name
		raw, err := h.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	one, two := file("one"), file("two")
	for _, c := range []struct {
		claim   string
		files   map[string]string // "": a folder
		want    string            // name of the model; empty: the shipped one
		damaged []string
	}{
		{"no folder", nil, "", nil},
		{"the newest", map[string]string{"0001.bin": one, "0010.bin": two, "0001.bin.card.json": "{}"}, "two", nil},
		{"the one before a damaged one", map[string]string{"0001.bin": one, "0002.bin": two[:len(two)-9], "0003.bin": ""}, "one", []string{"0003.bin", "0002.bin"}},
		{"the shipped one if all are damaged", map[string]string{"0001.bin": "x"}, "", []string{"0001.bin"}},
		{"what is no version", map[string]string{"1.bin": "x", "-001.bin": "x", "latest.bin": "x", "0002.bin.new": "x"}, "", nil},
	} {
		cfg := Config{DataDir: t.TempDir()}
		for name, content := range c.files {
			at := filepath.Join(modelFolder(&cfg, "acme"), name)
			if content == "" {
				err = os.MkdirAll(at, 0o700)
			} else {
				err = errors.Join(os.MkdirAll(filepath.Dir(at), 0o700), os.WriteFile(at, []byte(content), 0o600))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		models, damaged := tenantModels(&cfg, shipped)
		got := ""
		if own := models["acme"]; own != nil {
			got, _, _ = strings.Cut(own.Model(), "+")
		}
		if got != c.want || len(models) > 1 || len(damaged) != len(c.damaged) {
			t.Errorf("%s: %q and %v, want %q and %v", c.claim, got, damaged, c.want, c.damaged)
			continue
		}
		for i, err := range damaged {
			if !strings.Contains(err.Error(), c.damaged[i]) || !strings.Contains(err.Error(), "'earshot adapt'") {
				t.Errorf("%s: %v names not %s or not what to do", c.claim, err, c.damaged[i])
			}
		}
	}
	cfg := Config{DataDir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(cfg.DataDir, "models"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if models, damaged := tenantModels(&cfg, shipped); len(models) > 0 || len(damaged) != 1 {
		t.Errorf("a file in the place of the folder: %v, %v", models, damaged)
	}
}
