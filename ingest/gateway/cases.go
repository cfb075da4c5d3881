package gateway

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/earshot/earshot/schemas"
)

// casePrefix begins the address of every case; behind the case stands the step: POST /v1/cases/c-17/propose.
const casePrefix = "/v1/cases/"

// caseSource is the source of steps that name none.
const caseSource = "/v1/cases"

// Step is what can be recorded of a case.
type Step struct {
	Name    string            // as it stands in the address and on the command line
	Kind    schemas.Kind      // the event that it becomes
	Doc     string            // one line
	Assumed map[string]string // members of data that are taken where the request does not give them
}

// Steps lists the steps of the loop in their order.
func Steps() []Step {
	agent := map[string]string{"actor_kind": "agent"}
	return []Step{
		{"open", schemas.CaseOpened, "the customer has a case; text is in the customer's words, about is source#id of the feedback it is on", nil},
		{"reopen", schemas.CaseReopened, "a case begins again", nil},
		{"respond", schemas.AgentResponded, "a person answered the customer, in public where visibility does not say internal", map[string]string{"actor_kind": "agent", "visibility": "public"}},
		{"propose", schemas.DecisionProposed, "the company proposes a decision; answered with a link for the customer's verdict", agent},
		{"answer", schemas.DecisionAnswered, "the customer's verdict: agree, disagree or counter", nil},
		{"decide", schemas.DecisionMade, "a decision is made: its outcome, and until when it is promised", agent},
		{"resolve", schemas.CaseResolved, "the case is closed; answered with a link for the customer's follow-up rating", map[string]string{"actor_kind": "agent", "resolution_code": "resolved"}},
		{"inform", schemas.CustomerInformed, "the customer was told the outcome", agent},
		{"rate", schemas.FollowupRated, "the customer's rating after the case", nil},
	}
}

// taken is the answer to a step.
type taken struct {
	accepted
	CaseID     string `json:"case_id"`
	AnswerLink string `json:"answer_link,omitempty"` // by which the customer gives the verdict or the rating
}

// caseStep takes a step of a case: POST /v1/cases/<case>/<step>, with the names of POST /v1/feedback. It becomes an event of
// the contract and is judged and stored like any other; a retry with the same id or Idempotency-Key is the same step.
func (g *Gateway) caseStep(w http.ResponseWriter, r *http.Request) {
	id, name := strings.TrimPrefix(r.URL.Path, casePrefix), ""
	if at := strings.LastIndexByte(id, '/'); at >= 0 { // a case may have a slash in it
		id, name = id[:at], id[at+1:]
	}
	var step *Step
	var names []string
	for _, s := range Steps() {
		if names = append(names, s.Name); s.Name == name {
			step = &s
		}
	}
	if step == nil || id == "" {
		writeProblem(w, problem{Type: typeNotFound, Status: http.StatusNotFound,
			Detail: "a step goes to POST /v1/cases/<case>/<step>; the steps are " + strings.Join(names, ", ")})
		return
	}
	media, ok := mediaType(r)
	parse := parseJSON
	switch media {
	case "application/json":
	case "application/x-www-form-urlencoded":
		parse = parseURLEncoded
	default:
		ok = false
	}
	if !ok {
		writeProblem(w, badMedia(media, "application/json or application/x-www-form-urlencoded"))
		return
	}
	b, release, ok := g.body(w, r, schemas.MaxEventBytes)
	if !ok {
		return
	}
	defer release()
	now := g.cfg.Now()
	f, ps := parse(b)
	var e *schemas.Event
	var raw []byte
	if f != nil {
		f.kind, f.source = step.Kind, caseSource
		if given, twice := f.given["data.case_id"]; twice {
			ps = append(ps, schemas.Problem{Field: given, Bound: "the case in the address", Detail: "is given already", Reason: schemas.ReasonSchema})
		} else {
			f.set("case_id", quoted(id))
		}
		for name, value := range step.Assumed {
			if !f.has("data." + name) {
				f.set(name, quoted(value))
			}
		}
		var more schemas.Problems
		raw, _ = f.event(unquote(strings.TrimSpace(r.Header.Get(headerIdempotent))), now)
		e, more = schemas.DecodeStructured(raw, now)
		ps = append(ps, f.rename(more)...)
	}
	if len(ps) > 0 {
		g.metrics.count(noChannel, outcomeInvalid, 1)
		writeProblem(w, invalid(1, 1, faults(0, ps)))
		return
	}
	answer, ok := g.commit(w, r, []*schemas.Event{e}, [][]byte{raw})
	if !ok {
		return
	}
	body, err := json.Marshal(taken{answer, id, g.linkFor(r, e)})
	if err != nil {
		panic(err) // strings only: it cannot happen
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(http.StatusAccepted)
	w.Write(append(body, '\n')) // a client that has gone will send again, and be counted as a duplicate
}

// linkFor is the link that belongs to a step; "" where there is none.
func (g *Gateway) linkFor(r *http.Request, e *schemas.Event) string {
	kinds := map[schemas.Kind]schemas.Kind{schemas.DecisionProposed: schemas.DecisionAnswered, schemas.CaseResolved: schemas.FollowupRated}
	kind := kinds[e.Kind]
	if kind == "" || len(g.cfg.AnswerKey) == 0 {
		return ""
	}
	l := Link{Kind: kind, Tenant: e.Tenant, Case: e.Data.CaseID, Asked: e.Source + "#" + e.ID, ID: e.Identity().String(), Channel: e.Data.Channel,
		Text: e.Data.DecisionText, Language: e.Data.Language, Expires: g.cfg.Now().Add(LinkLife)}
	base := *r.URL
	base.Path, base.RawPath, base.RawQuery = answerPrefix, "", ""
	at := *r
	at.URL = &base
	return g.publicURL(&at) + l.Token(g.cfg.AnswerKey)
}
