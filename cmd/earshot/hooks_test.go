package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/ingest/channels"
)

// vectorFile holds signed requests of every channel; the channels package says how they were made.
type vectorFile struct {
	Vectors []struct {
		Scheme, File, Secret, URL string
		Headers                   map[string]string
	}
}

func signedVectors(t *testing.T) vectorFile {
	t.Helper()
	var f vectorFile
	if err := json.Unmarshal([]byte(readText(t, "../../ingest/channels/testdata/vectors.json")), &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// writeSources makes a sources file of a folder with a secret for each; they are named by their channel and their name, by
// the channel alone where that is acme.
func writeSources(t *testing.T, dir string, tolerance string, sources map[string]string) {
	t.Helper()
	var file sourcesFile
	for _, source := range sortedKeys(sources) {
		channel, name, _ := strings.Cut(source, "/")
		secret := channel + name + ".secret"
		if err := os.WriteFile(filepath.Join(dir, secret), []byte(sources[source]+"\n"), 0o400); err != nil {
			t.Fatal(err)
		}
		file.Sources = append(file.Sources, sourceEntry{Channel: channel, Name: first(name, "acme"), Tenant: "acme", SecretFiles: []string{secret}, Tolerance: tolerance})
	}
	b, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, hooksFile), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// The whole way: what providers push with their signatures is rows in ClickHouse; with a wrong one it is a 401 and nothing
// is stored. The vectors were signed at a fixed time, so the tolerance is as long as it takes.
func TestWhatProvidersPushIsStoredAndNothingElse(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f := signedVectors(t)
	sources, names := map[string]string{}, make([]string, len(f.Vectors)) // a source for each, because their secrets differ
	for i, v := range f.Vectors {
		channel, _, _ := strings.Cut(v.File, "/")
		if names[i] = channel + "/acme"; sources[names[i]] != "" {
			names[i] = fmt.Sprintf("%s/acme-%d", channel, i)
		}
		if channel == "twilio" { // it signs the address, which here has a port that nobody knew
			names[i] = ""
			continue
		}
		sources[names[i]] = v.Secret
	}
	writeSources(t, dir, "876000h", sources)
	up := startUp(t, dir)
	stored, mails := 0, 0
	for i, v := range f.Vectors {
		channel, name, _ := strings.Cut(names[i], "/")
		if name == "" {
			continue
		}
		body := []byte(readText(t, "../../ingest/channels/testdata/samples/"+v.File))
		header := []string{}
		kind := "application/json"
		for name, value := range v.Headers {
			if name == "Content-Type" {
				kind = value
			}
			header = append(header, name, value)
		}
		forged := append([]byte(nil), body...)
		forged[len(forged)/2] ^= 1
		url := up.Gateway + "/v1/hooks/" + channel + "/" + name
		if channel != "telegram" && channel != "trustpilot" && channel != "postmark" && channel != "mailgun" { // which sign no body
			if code, answer, err := post(url, kind, forged, header...); err != nil || code != http.StatusUnauthorized {
				t.Errorf("%s with one bit changed: %d %s %v", channel, code, answer, err)
			}
		}
		if code, answer, err := post(url, kind, body); err != nil || code != http.StatusUnauthorized && channel != "mailgun" {
			t.Errorf("%s without its signature: %d %s %v", channel, code, answer, err)
		}
		var got struct{ Accepted int }
		code, answer, err := post(url, kind, body, header...)
		if err != nil || code != http.StatusOK || json.Unmarshal(answer, &got) != nil {
			t.Errorf("%s: %d %s %v", channel, code, answer, err)
		}
		if channel != "mailgun" { // whose signature is in the body: that was the call "without" it
			stored += got.Accepted
		} else {
			mails++
		}
	}
	began := time.Now()
	b := reconciled(t, dir)
	if !b.Exact || b.Stored != uint64(stored+mails) || b.Duplicates != uint64(mails) || b.Dead != 0 {
		t.Errorf("%d events and %d mails twice were answered for; reconcile says %+v", stored, mails, b)
	}
	t.Logf("all of them in the table at most %v after the last answer", time.Since(began))
	if got := ask(t, dir, "SELECT count() FROM feedback WHERE source = '/zendesk/acme' AND rating = -1 AND customer_key != ''"); got != "1" {
		t.Errorf("the Zendesk rating: %s rows", got)
	}
	log := up.log.String()
	up.stop()
	for channel, secret := range sources {
		if strings.Contains(log, secret) {
			t.Errorf("the log shows the secret of %s", channel)
		}
	}
}

func TestAFaultySourcesFileStopsTheStartAndSaysWhy(t *testing.T) {
	dir := t.TempDir()
	open := filepath.Join(dir, "open.secret")
	for path, mode := range map[string]os.FileMode{open: 0o644, filepath.Join(dir, "good.secret"): 0o400} {
		if err := os.WriteFile(path, []byte("s3cret-value"), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ claim, text, want string }{
		{"a good one", `{"public_url":"https://a.example","sources":[{"channel":"github","name":"a","tenant":"t","secret_files":["good.secret"]}]}`, ""},
		{"no JSON", `sources: []`, "invalid character"},
		{"a misspelt member", `{"source":[]}`, "unknown field"},
		{"a secret that others can read", `{"sources":[{"channel":"github","name":"a","tenant":"t","secret_files":["open.secret"]}]}`, "chmod 400"},
		{"a secret that is not there", `{"sources":[{"channel":"github","name":"a","tenant":"t","secret_files":["none"]}]}`, "no such file"},
		{"a source without a secret", `{"sources":[{"channel":"github","name":"a","tenant":"t"}]}`, "no secret"},
		{"a tolerance that is none", `{"sources":[{"channel":"github","name":"a","tenant":"t","tolerance":"5","secret_files":["good.secret"]}]}`, "tolerance"},
		{"a URL that is none", `{"public_url":"a.example","sources":[]}`, "public_url"},
		{"a mapping that is not there", `{"sources":[{"channel":"generic","name":"a","tenant":"t","mapping_file":"m.json","secret_files":["good.secret"]}]}`, "m.json"},
	} {
		path := filepath.Join(dir, "hooks.json")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := openHooks(&Config{HooksFile: path}, "")
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret")) {
			t.Errorf("%s: want %q, found %v", c.claim, c.want, err)
		}
	}
	if h, _, err := openHooks(&Config{}, t.TempDir()); h != nil || err != nil {
		t.Errorf("without a file: %v, %v", h, err)
	}
	if _, _, err := openHooks(&Config{HooksFile: filepath.Join(dir, "none.json")}, ""); err == nil {
		t.Error("a file that was named but is not there was passed over")
	}
}

// Every channel of the table can be configured.
func TestEveryChannelCanBeASource(t *testing.T) {
	for _, name := range channels.Names() {
		s := channels.Source{Channel: name, Name: "a", Tenant: "t", Secrets: []channels.Secret{channels.NewSecret([]byte("s"))}, Mapping: &channels.Mapping{}}
		if _, err := channels.NewHooks([]channels.Source{s}); err != nil {
			t.Error(err)
		}
	}
}
