package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/earshot/earshot/schemas"
)

// entry is one receiver as the file has it.
type entry struct {
	Name           string             `yaml:"name"`
	Type           string             `yaml:"type"`
	URL            Secret             `yaml:"url"`
	URLFile        string             `yaml:"url_file"`
	Secret         []Secret           `yaml:"secret"`
	SecretFile     string             `yaml:"secret_file"`
	Unsigned       bool               `yaml:"unsigned"`
	RoutingKey     Secret             `yaml:"routing_key"`
	RoutingKeyFile string             `yaml:"routing_key_file"`
	Host           string             `yaml:"host"`
	From           string             `yaml:"from"`
	To             []string           `yaml:"to"`
	Username       string             `yaml:"username"`
	Password       Secret             `yaml:"password"`
	PasswordFile   string             `yaml:"password_file"`
	Security       string             `yaml:"security"`
	Allow          []netip.Prefix     `yaml:"allow"`
	Severities     []schemas.Severity `yaml:"severities"`
}

// Types lists the kinds of receivers.
func Types() []string { return []string{"alertmanager", "webhook", "slack", "pagerduty", "email"} }

// Load reads a file of receivers, which holds secrets and must not be readable by others. The error joins every fault.
func Load(file string) ([]Receiver, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("read the receivers: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("the receivers' file %s can be read by others (%v): chmod 600 it", file, info.Mode().Perm())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the receivers: %w", err)
	}
	var doc struct {
		Receivers []yaml.Node `yaml:"receivers"`
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var out []Receiver
	var faults []error
	seen := map[string]bool{}
	for i := range doc.Receivers {
		n := &doc.Receivers[i]
		fault := func(format string, args ...any) {
			faults = append(faults, fmt.Errorf("%s:%d: "+format, append([]any{file, n.Line}, args...)...))
		}
		e, unknown := decode(n)
		for _, u := range unknown {
			fault("%v", u)
		}
		if e.Name == "" || seen[e.Name] || strings.HasPrefix(e.Name, "@") {
			fault("name %q: wants a name of its own, not beginning with @", e.Name)
		}
		seen[e.Name] = true
		if r := e.receiver(fault); r != nil {
			out = append(out, r)
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return out, nil
}

// value is how the library quotes what it could not read, which may be a secret under the wrong key.
var value = regexp.MustCompile("`[^`]*`?")

// decode reads one entry and lists what it does not know.
func decode(n *yaml.Node) (e entry, faults []error) {
	text, err := yaml.Marshal(n)
	if err != nil {
		return e, []error{err}
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	err = dec.Decode(&e)
	var types *yaml.TypeError
	switch {
	case errors.As(err, &types):
		for _, t := range types.Errors {
			_, what, _ := strings.Cut(t, ": ") // the line is one of the entry alone
			what = value.ReplaceAllString(strings.ReplaceAll(what, " in type delivery.entry", ""), "a value")
			faults = append(faults, errors.New(what))
		}
	case err != nil:
		faults = append(faults, errors.New("cannot be read"))
	}
	return e, faults
}

// receiver makes the receiver, or says everything that keeps it from being made.
func (e *entry) receiver(report func(string, ...any)) Receiver {
	sound := true
	fault := func(format string, args ...any) { sound = false; report(format, args...) }
	for _, f := range []struct {
		value *Secret
		file  string
	}{{&e.URL, e.URLFile}, {&e.RoutingKey, e.RoutingKeyFile}, {&e.Password, e.PasswordFile}} {
		e.fromFile(f.value, f.file, fault)
	}
	if e.SecretFile != "" {
		var s Secret
		e.fromFile(&s, e.SecretFile, fault)
		e.Secret = append(e.Secret, s)
	}
	for _, s := range e.Severities {
		if !slices.Contains(schemas.Severities(), s) {
			fault("severity %q: use critical, warning or info", s)
		}
	}
	guard := &Guard{Allow: e.Allow}
	if e.Type == "pagerduty" && e.URL.Reveal() == "" {
		e.URL = NewSecret(pagerDutyURL)
	}
	if e.Type != "email" {
		u, err := url.Parse(e.URL.Reveal())
		switch {
		case err != nil || u.Host == "":
			fault("url: wants an address that begins with https://")
		case u.Scheme == "http" && len(e.Allow) > 0, u.Scheme == "https":
		default:
			fault("url: wants https://; http:// goes to networks named in 'allow' only")
		}
	}
	var r Receiver
	switch e.Type {
	case "alertmanager":
		r = &Alertmanager{e.Name, e.URL.Reveal(), guard.Client()}
	case "slack":
		r = &Slack{e.Name, e.URL, guard.Client()}
	case "pagerduty":
		if e.RoutingKey.Reveal() == "" {
			fault("routing_key: is missing")
		}
		r = &PagerDuty{e.Name, e.URL.Reveal(), e.RoutingKey, guard.Client()}
	case "webhook":
		w := &Webhook{name: e.Name, url: e.URL, client: guard.Client()}
		for _, s := range e.Secret {
			if _, err := webhookSecret(s); err != nil {
				fault("secret: %v", err)
			}
			w.secrets = append(w.secrets, s)
		}
		switch {
		case len(e.Secret) == 0 && !e.Unsigned:
			fault("secret: is missing, so that nobody could tell these alerts from forged ones: give one (%s), or write 'unsigned: true'", newSecret)
		case len(e.Secret) > 0 && e.Unsigned:
			fault("unsigned: there is a secret, with which it is signed: leave one of the two out")
		}
		r = w
	case "email":
		r = e.email(guard, fault)
	default:
		fault("type %q: use %s", e.Type, strings.Join(Types(), ", "))
	}
	if e.Unsigned && e.Type != "webhook" {
		fault("unsigned: only a webhook is signed")
	}
	if !sound {
		return nil
	}
	if len(e.Severities) > 0 {
		return picky{r, e.Severities}
	}
	return r
}

func (e *entry) email(guard *Guard, fault func(string, ...any)) Receiver {
	if _, _, err := net.SplitHostPort(e.Host); err != nil {
		fault("host: wants a mail server with its port, such as smtp.example.org:587")
	}
	for _, a := range append([]string{e.From}, e.To...) {
		if parsed, err := mail.ParseAddress(a); err != nil || parsed.Address != a {
			fault("from and to: %q: wants plain addresses such as alerts@example.org", a)
		}
	}
	if len(e.To) == 0 {
		fault("to: is missing")
	}
	if e.Security == "" {
		e.Security = "starttls"
	}
	if !slices.Contains([]string{"starttls", "implicit", "none"}, e.Security) || e.Security == "none" && len(e.Allow) == 0 {
		fault("security %q: use starttls or implicit; none goes to networks named in 'allow' only", e.Security)
	}
	return &Email{name: e.Name, host: e.Host, from: e.From, to: e.To, user: e.Username, password: e.Password, security: e.Security, guard: guard}
}

// fromFile takes a secret from a file that others cannot read.
func (e *entry) fromFile(value *Secret, file string, fault func(string, ...any)) {
	if file == "" {
		return
	}
	info, err := os.Stat(file)
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = fmt.Errorf("%s can be read by others (%v): chmod 400 it", file, info.Mode().Perm())
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		fault("%v", err)
	}
	*value = NewSecret(strings.TrimSpace(string(text)))
}

// picky is a receiver that is told of some severities only.
type picky struct {
	Receiver
	severities []schemas.Severity
}

// Deliver passes on what is of the right severity.
func (p picky) Deliver(ctx context.Context, n Notification) error {
	if !slices.Contains(p.severities, n.Alert.Severity) {
		return nil
	}
	return p.Receiver.Deliver(ctx, n)
}
