package gateway

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/language"

	"github.com/earshot/earshot/schemas"
)

// answerPrefix begins the address of every answer page; the token follows.
const answerPrefix = "/a/"

// How often one address may open or send answer pages, in the long run and at once. Behind a proxy the address is the
// proxy's, so the bounds are those of a busy shop.
const (
	visitsPerSecond = 5
	visitsAtOnce    = 50
)

// maxAnswerBody bounds what a page sends, in bytes; maxAnswerText what a customer may write, in characters.
const (
	maxAnswerBody = 64 << 10
	maxAnswerText = 5000
)

//go:embed answer.html
var answerHTML string

//go:embed answer.css
var answerCSS string

// answerPage draws the pages. The style is inline and named by its hash in the policy, so that nothing else is loaded or
// run: no script, no picture, nothing of others.
type answerPage struct {
	page   *template.Template
	policy string
	match  language.Matcher
}

func newAnswerPage() (*answerPage, error) {
	t, err := template.New("answer").Parse(answerHTML)
	if err != nil {
		return nil, fmt.Errorf("read the answer page: %w", err)
	}
	sum := sha256.Sum256([]byte(answerCSS))
	var tags []language.Tag
	for _, w := range answerWords {
		tags = append(tags, language.Make(w.Tag))
	}
	return &answerPage{page: t, match: language.NewMatcher(tags), policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"}, nil
}

// answerView is what a page shows.
type answerView struct {
	Words   *words
	Style   template.CSS
	State   string // ask, done, or the fault: gone, unknown, busy, later
	Verdict bool   // a verdict is asked for; false: a rating
	Link    Link
	Fault   string // what is missing in what was sent
	Chosen  string // what had been chosen then
	Text    string // what had been written then
	Ratings []string
}

func (g *Gateway) draw(w http.ResponseWriter, r *http.Request, status int, v answerView) {
	accept := r.Header.Get("Accept-Language")
	if v.Link.Language != "" {
		accept = v.Link.Language + "," + accept
	}
	tags, _, _ := language.ParseAcceptLanguage(accept) // what cannot be read asks for nothing
	_, i, _ := g.page.match.Match(tags...)
	v.Words, v.Style, v.Ratings = &answerWords[i], template.CSS(answerCSS), []string{"1", "2", "3", "4", "5"}
	v.Verdict = v.Link.Kind == schemas.DecisionAnswered
	var b bytes.Buffer
	if err := g.page.page.Execute(&b, v); err != nil {
		panic(fmt.Errorf("draw the answer page: %w", err))
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", v.Words.Tag)
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	h.Set("Content-Security-Policy", g.page.policy)
	h.Set("Referrer-Policy", "no-referrer") // the address is the proof
	h.Set("X-Robots-Tag", "noindex, nofollow")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(b.Bytes())
	}
}

// link reads the link of a request; ok is false when it has been answered.
func (g *Gateway) link(w http.ResponseWriter, r *http.Request) (l Link, ok bool) {
	now := g.cfg.Now()
	if wait := g.visitors.take(r, now, 1); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		g.draw(w, r, http.StatusTooManyRequests, answerView{State: "busy"})
		return l, false
	}
	l, err := ReadLink(g.cfg.AnswerKey, strings.TrimPrefix(r.URL.Path, answerPrefix), now)
	switch {
	case errors.Is(err, ErrExpired):
		g.draw(w, r, http.StatusGone, answerView{State: "gone", Link: l})
	case err != nil:
		g.metrics.count(noChannel, outcomeUnproven, 1)
		g.draw(w, r, http.StatusNotFound, answerView{State: "unknown"})
	}
	return l, err == nil
}

// showAnswer shows the page that asks. It changes nothing, because programs that check mail for dangerous links open them
// before the customer does.
func (g *Gateway) showAnswer(w http.ResponseWriter, r *http.Request) {
	if l, ok := g.link(w, r); ok {
		g.draw(w, r, http.StatusOK, answerView{State: "ask", Link: l})
	}
}

// takeAnswer takes what the customer sends, and says so only after the log has it.
func (g *Gateway) takeAnswer(w http.ResponseWriter, r *http.Request) {
	l, ok := g.link(w, r)
	if !ok {
		return
	}
	held := &heldAnswer{header: http.Header{}}
	b, release, ok := g.body(held, r, maxAnswerBody)
	if !ok {
		g.draw(w, r, max(held.status, http.StatusBadRequest), answerView{State: "later", Link: l})
		return
	}
	defer release()
	values, err := url.ParseQuery(string(b))
	again := answerView{State: "ask", Link: l, Text: strings.ToValidUTF8(strings.TrimSpace(strings.ReplaceAll(values.Get("text"), "\r\n", "\n")), "\uFFFD")}
	verdict, rating := values.Get("verdict"), 0
	if l.Kind == schemas.DecisionAnswered {
		again.Chosen = verdict
		switch {
		case verdict != "agree" && verdict != "disagree" && verdict != "counter":
			again.Fault = "choose"
		case verdict == "counter" && again.Text == "":
			again.Fault = "say"
		}
	} else {
		again.Chosen = values.Get("rating")
		if rating, err = strconv.Atoi(again.Chosen); err != nil || rating < 1 || rating > 5 {
			again.Fault = "choose"
		}
	}
	if utf8.RuneCountInString(again.Text) > maxAnswerText {
		again.Fault = "long"
	}
	now := g.cfg.Now()
	var e *schemas.Event
	var raw []byte
	if again.Fault == "" {
		raw = schemas.AppendStructured(nil, l.event(verdict, float64(rating), again.Text, now))
		var ps schemas.Problems
		if e, ps = schemas.DecodeStructured(raw, now); len(ps) > 0 {
			again.Fault = "choose" // what the page lets through keeps the contract, unless the link was made by another version
		}
	}
	if again.Fault != "" {
		g.metrics.count(noChannel, outcomeInvalid, 1)
		g.draw(w, r, http.StatusUnprocessableEntity, again)
		return
	}
	if _, ok := g.commit(held, r, []*schemas.Event{e}, [][]byte{raw}); !ok {
		again.State = "later"
		w.Header().Set("Retry-After", held.header.Get("Retry-After"))
		g.draw(w, r, held.status, again)
		return
	}
	g.draw(w, r, http.StatusOK, answerView{State: "done", Link: l})
}

// heldAnswer keeps a problem document from the customer, who is shown a page instead.
type heldAnswer struct {
	header http.Header
	status int
}

// Header is part of http.ResponseWriter.
func (h *heldAnswer) Header() http.Header { return h.header }

// WriteHeader is part of http.ResponseWriter.
func (h *heldAnswer) WriteHeader(status int) { h.status = status }

// Write is part of http.ResponseWriter.
func (h *heldAnswer) Write(b []byte) (int, error) { return len(b), nil }
