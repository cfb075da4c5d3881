package delivery_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"strings"
	"sync"
	"testing"
)

const hidden = "hunter2hunter2hunter2hunter2" // every secret of the test holds it

// fake is the other side of a receiver: it checks what arrives against its documentation and keeps what state it leads to.
type fake struct {
	mu     sync.Mutex
	status int // what to answer; 0: well
	got    []string
	keys   []string        // by which the other side tells a repetition from news; "" where it cannot
	open   map[string]bool // incidents by the key the other side knows
	faults []string
	url    string
	mute   bool // a mail server that hangs up instead of taking a mail
	rude   bool // a mail server that hangs up at QUIT
}

func (f *fake) fault(format string, args ...any) {
	f.faults = append(f.faults, fmt.Sprintf(format, args...))
}

func (f *fake) answer(status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status = status
}

// note records one message about an incident.
func (f *fake) note(incident, key, word string) {
	if f.open == nil {
		f.open = map[string]bool{}
	}
	f.got, f.keys = append(f.got, word), append(f.keys, key)
	f.open[incident] = word != "resolved"
}

// word is the state of an incident.
func word(resolved, acked bool) string {
	switch {
	case resolved:
		return "resolved"
	case acked:
		return "acked"
	}
	return "firing"
}

func (f *fake) handler(path string, read func(r *http.Request, body []byte)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		switch {
		case f.status >= 300 && f.status < 400:
			http.Redirect(w, r, "/elsewhere", f.status)
			return
		case f.status != 0:
			http.Error(w, r.URL.Path+" "+string(body[:min(len(body), 100)])+hidden+strings.Repeat("x", 1<<20), f.status) // it repeats what it was sent
			return
		case r.Method != http.MethodPost || r.URL.Path != path || r.Header.Get("Content-Type") != "application/json":
			f.fault("%s %s %s", r.Method, r.URL.Path, r.Header.Get("Content-Type"))
		}
		read(r, body)
	})
}

func (f *fake) serve(t *testing.T, h http.Handler) {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	f.url = s.URL
}

func (f *fake) json(body []byte, into any) {
	if err := json.Unmarshal(body, into); err != nil {
		f.fault("not JSON: %v: %.100s", err, body)
	}
}

// smtp serves one connection as RFC 5321 says.
func (f *fake) smtp(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	say := func(line string) { fmt.Fprintf(c, "%s\r\n", line) }
	say("220 mail ready")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		f.mu.Lock()
		status := f.status
		f.mu.Unlock()
		switch verb := strings.ToUpper(strings.Fields(line + " x")[0]); verb {
		case "EHLO":
			say("250-mail")
			say("250 AUTH PLAIN")
		case "AUTH":
			say("235 ok")
		case "RCPT":
			switch {
			case status >= 500 || status == 429:
				say("451 later")
			case status != 0:
				say("550 nobody of that name")
			default:
				say("250 ok")
			}
		case "DATA":
			say("354 go on")
			var b strings.Builder
			for {
				l, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if l == ".\r\n" {
					break
				}
				b.WriteString(l)
			}
			f.mu.Lock()
			f.mail(b.String())
			f.mu.Unlock()
			if f.mute {
				return
			}
			say("250 kept")
		case "QUIT":
			if !f.rude {
				say("221 bye")
			}
			return
		default:
			say("250 ok")
		}
	}
}

func (f *fake) mail(text string) {
	m, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		f.fault("no message: %v", err)
		return
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || m.Header.Get("Message-ID") == "" || m.Header.Get("From") != "alerts@example.org" || m.Header.Get("Bcc") != "" {
		f.fault("headers: %v, %v", m.Header, err)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil || !strings.Contains(string(body), "Größe") {
		f.fault("body: %v %q", err, body)
	}
	f.note(m.Header.Get("To"), m.Header.Get("Message-ID")+strings.Repeat("again", strings.Count(subject, "(may be a repetition)")), word(strings.HasPrefix(subject, "[RESOLVED]"), strings.Contains(subject, "[LOOKED AFTER")))
}
