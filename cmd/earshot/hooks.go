package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/earshot/earshot/ingest/channels"
	"github.com/earshot/earshot/ingest/gateway"
)

// hooksFile is the sources file in the data folder.
const hooksFile = "hooks.json"

// sourcesFile is the file that says who may push. Names of files in it are relative to its own folder.
type sourcesFile struct {
	PublicURL string        `json:"public_url"` // under which providers call, such as https://feedback.acme.example
	Sources   []sourceEntry `json:"sources"`
}

// sourceEntry is one account of a channel.
type sourceEntry struct {
	Channel     string   `json:"channel"`
	Name        string   `json:"name"`
	Tenant      string   `json:"tenant"`
	Auth        string   `json:"auth"`
	SecretFiles []string `json:"secret_files"`
	VerifyToken string   `json:"verify_token_file"`
	Tolerance   string   `json:"tolerance"`
	Mapping     string   `json:"mapping_file"`
}

// hooks lets the gateway ask the channels, of which it knows nothing.
type hooks struct{ *channels.Hooks }

// Receive translates between the two.
func (h hooks) Receive(channel, source string, call *gateway.HookCall, now time.Time) (*gateway.HookAnswer, error) {
	got, err := h.Hooks.Receive(channel, source, &channels.Request{Method: call.Method, URL: call.URL, Header: call.Header, Body: call.Body}, now)
	for from, to := range map[error]error{channels.ErrSignature: gateway.ErrUnproven, channels.ErrMethod: gateway.ErrNotACall} {
		if errors.Is(err, from) {
			return nil, fmt.Errorf("%w: %w", to, err)
		}
	}
	if err != nil {
		return nil, gateway.ErrUnreadable // what is wrong could hold what a customer wrote
	}
	answer := &gateway.HookAnswer{Events: got.Events}
	if got.Reply != nil {
		answer.ContentType, answer.Body = got.Reply.ContentType, got.Reply.Body
	}
	return answer, nil
}

// openHooks reads the sources that may push: those of the file that the configuration names, else those of the data
// folder. Without either there are none, and gateway.Config.Hooks stays nil.
func openHooks(c *Config, dir string) (gateway.Hooks, string, error) {
	path := c.HooksFile
	if path == "" {
		if dir == "" {
			return nil, "", nil
		}
		path = filepath.Join(dir, hooksFile)
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return nil, "", nil
		}
	}
	h, publicURL, err := readHooks(path)
	if err != nil {
		return nil, "", fmt.Errorf("read the sources of hooks from %s: %w", path, err)
	}
	return h, publicURL, nil
}

func readHooks(path string) (gateway.Hooks, string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, "", err
	}
	var file sourcesFile
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		return nil, "", err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, "", errors.New("something follows the JSON object")
	}
	var errs []error
	if u, err := url.Parse(file.PublicURL); file.PublicURL != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		errs = append(errs, fmt.Errorf("public_url is %q, must be such as https://feedback.acme.example", file.PublicURL))
	}
	sources := make([]channels.Source, 0, len(file.Sources))
	for i := range file.Sources {
		s, err := file.Sources[i].source(filepath.Dir(path))
		if err != nil {
			errs = append(errs, fmt.Errorf("source %d (%s/%s): %w", i+1, file.Sources[i].Channel, file.Sources[i].Name, err))
			continue
		}
		sources = append(sources, s)
	}
	h, err := channels.NewHooks(sources)
	if errs = append(errs, err); errors.Join(errs...) != nil {
		return nil, "", errors.Join(errs...)
	}
	return hooks{h}, file.PublicURL, nil
}

func (e *sourceEntry) source(dir string) (s channels.Source, err error) {
	s = channels.Source{Channel: e.Channel, Name: e.Name, Tenant: e.Tenant, Auth: e.Auth}
	for _, name := range e.SecretFiles {
		b, err := readPrivate(relativeTo(dir, name), "the secret")
		if err != nil {
			return s, err
		}
		s.Secrets = append(s.Secrets, channels.NewSecret(b))
	}
	if e.VerifyToken != "" {
		b, err := readPrivate(relativeTo(dir, e.VerifyToken), "the secret")
		if err != nil {
			return s, err
		}
		s.VerifyToken = channels.NewSecret(b)
	}
	if e.Tolerance != "" {
		if s.Tolerance, err = time.ParseDuration(e.Tolerance); err != nil || s.Tolerance <= 0 {
			return s, fmt.Errorf("tolerance is %q, must be a duration such as 5m", e.Tolerance)
		}
	}
	if e.Mapping != "" {
		if s.Mapping, err = readMapping(relativeTo(dir, e.Mapping)); err != nil {
			return s, err
		}
	}
	return s, nil
}

func readMapping(path string) (*channels.Mapping, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m, err := channels.ParseMapping(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

func relativeTo(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}
