package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/earshot/earshot/ingest/gateway"
)

// caseFlags are the flags of 'earshot case' and the members of data that they give.
var caseFlags = []struct{ flag, member, doc string }{
	{"tenant", "tenant", "whose customer it is; default: default"},
	{"customer", "customer", "the customer, as the source knows them"},
	{"channel", "channel", "where it happened, such as support"},
	{"conversation", "conversation_id", "the conversation the case belongs to"},
	{"about", "about", "source#id of the event this is about, such as the feedback a case is opened on"},
	{"text", "text", "what was said"},
	{"language", "language", "of the text and of the page behind the link, BCP 47"},
	{"agent", "agent_id", "who acted for the company"},
	{"visibility", "visibility", "public or internal; an internal note is no answer"},
	{"decision", "decision", "what is proposed or decided, in words"},
	{"verdict", "verdict", "agree, disagree or counter"},
	{"outcome", "outcome", "fix, refund, replace, explain, improve or decline"},
	{"promise", "promise", "until when it is promised, RFC 3339"},
	{"code", "code", "how the case was closed; default: resolved"},
	{"rating", "rating", "from 1 to 5"},
	{"time", "time", "when it happened, RFC 3339; default: now"},
	{"id", "id", "id of the step; give one if the command may run twice"},
}

func caseCommand() command {
	var steps strings.Builder
	for _, s := range gateway.Steps() {
		fmt.Fprintf(&steps, "  %-8s %s\n", s.Name, s.Doc)
	}
	return command{
		name: "case", args: "STEP CASE", summary: "record what happens in a case, up to the follow-up",
		help: "Records a step of a case through the gateway, as POST /v1/cases/CASE/STEP does. The steps, in their usual order:\n" + steps.String() +
			"'propose' and 'resolve' print a link for the customer, good for 30 days and for one answer.\nExample: earshot case propose c-17 --tenant acme --decision 'We send a new one today'",
		flags: func(fs *flag.FlagSet) any {
			given := map[string]string{}
			for _, f := range caseFlags {
				fs.Func(f.flag, "`"+f.member+"`: "+f.doc, func(v string) error { given[f.member] = v; return nil })
			}
			fs.Func("url", "gateway `URL`; default: that of the node running on the data folder", func(v string) error { given["url"] = v; return nil })
			return given
		},
		run: func(ctx context.Context, env *environment, opts any, args []string) error {
			given := opts.(map[string]string)
			args, err := caseWords(env.stderr, given, args)
			if err != nil {
				return err
			}
			if len(args) != 2 {
				return usagef("takes a step and a case, such as: earshot case open c-17 --tenant acme")
			}
			return recordStep(ctx, env, args[0], args[1], given)
		},
	}
}

// caseWords takes the flags after the step, which may stand before the case and after it, into given and returns the words. What begins
// with a dash is a flag and no case: a mistyped -h would be one for good. After -- it is a case.
func caseWords(w io.Writer, given map[string]string, args []string) ([]string, error) {
	if len(args) == 0 {
		return nil, nil
	}
	words, rest := args[:1:1], args[1:]
	c := caseCommand()
	fs := flag.NewFlagSet("earshot case", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	later := c.flags(fs).(map[string]string)
	for len(rest) > 0 { // the flag package ends at the first word
		switch err := fs.Parse(rest); {
		case errors.Is(err, flag.ErrHelp):
			fs.SetOutput(w)
			c.usage(fs)()
			return nil, err
		case err != nil:
			return nil, usageError{err}
		}
		before := rest[:len(rest)-fs.NArg()]
		if rest = fs.Args(); len(rest) == 0 {
			break
		}
		if rest[0] == "-" && (len(before) == 0 || before[len(before)-1] != "--") { // which is a word for the flag package
			return nil, usagef("- is no case")
		}
		words, rest = append(words, rest[0]), rest[1:]
	}
	maps.Copy(given, later)
	return words, nil
}

// recordStep sends one step until it is answered for good.
func recordStep(ctx context.Context, env *environment, step, id string, given map[string]string) (err error) {
	base := given["url"]
	if base == "" {
		if base, err = gatewayURL(env); err != nil {
			return err
		}
	}
	body := map[string]any{}
	for name, v := range given {
		if name == "rating" {
			if body[name], err = strconv.ParseFloat(v, 64); err != nil {
				return usagef("--rating %q: is no number", v)
			}
		} else if name != "url" {
			body[name] = v
		}
	}
	if given["id"] == "" {
		body["id"] = uuid.Must(uuid.NewV7()).String() // so that sending again after a lost answer is the same step
	}
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	// A case may hold a slash, which in an address is written %2F.
	to := strings.TrimRight(base, "/") + "/v1/cases/" + url.PathEscape(id) + "/" + url.PathEscape(step)
	client := &http.Client{Timeout: 30 * time.Second}
	for pause := 100 * time.Millisecond; ; pause *= 2 {
		again, err := sendStep(ctx, env, client, to, b)
		if !again || pause > 10*time.Second {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// sendStep sends a step once; again says that err may pass.
func sendStep(ctx context.Context, env *environment, client *http.Client, to string, body []byte) (again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", "application/json")
	if key := env.config.SendKey.Reveal(); key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := client.Do(req)
	if err != nil {
		return ctx.Err() == nil && !strings.Contains(err.Error(), "connection refused"), fmt.Errorf("send to %s: %w; is the gateway running?", to, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return true, err
	}
	switch resp.StatusCode {
	case http.StatusAccepted:
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return true, fmt.Errorf("the gateway answers %s", resp.Status)
	default:
		return false, fmt.Errorf("the gateway answers %s: %s", resp.Status, problemText(answer))
	}
	var got struct {
		EventIDs   []string `json:"event_ids"`
		CaseID     string   `json:"case_id"`
		AnswerLink string   `json:"answer_link"`
	}
	if err := json.Unmarshal(answer, &got); err != nil || len(got.EventIDs) != 1 {
		return false, fmt.Errorf("the gateway's answer cannot be read: %s", answer)
	}
	fmt.Fprintf(env.stdout, "recorded: case %s, event %s\n", got.CaseID, got.EventIDs[0])
	if got.AnswerLink != "" {
		fmt.Fprintf(env.stdout, "link for the customer: %s\n", got.AnswerLink)
	}
	return false, nil
}

// problemText is a problem document for a person.
func problemText(answer []byte) string {
	var p struct {
		Detail   string `json:"detail"`
		Problems []struct {
			Field, Detail, Bound string
		} `json:"problems"`
	}
	if json.Unmarshal(answer, &p) != nil || p.Detail == "" {
		return string(answer)
	}
	lines := []string{p.Detail}
	for _, f := range p.Problems {
		lines = append(lines, strings.TrimSpace(f.Field+" "+f.Detail)+map[bool]string{true: " (allowed: " + f.Bound + ")"}[f.Bound != ""])
	}
	return strings.Join(slices.Compact(lines), "\n  ")
}
