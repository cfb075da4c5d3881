package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/deadletter"
)

// listFormat lays out one letter a line.
const listFormat = "%-10s %-20s %-18s %-9s %-12s %-10s %s\n"

// longestDetail is how much of a detail a line shows, in characters.
const longestDetail = 100

func printLetterLine(w io.Writer, l *deadletter.Letter) {
	detail := visible(l.Detail)
	if utf8.RuneCountInString(detail) > longestDetail {
		detail = string([]rune(detail)[:longestDetail-1]) + "…"
	}
	fmt.Fprintf(w, listFormat, l.ID.Short(), l.Received.UTC().Format(time.RFC3339), visible(string(l.Reason)), l.State, visible(l.Tenant), visible(l.Channel), detail)
}

// visible makes a stranger's text fit for a terminal: what cannot be seen, or would command the terminal, is escaped.
func visible(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || !unicode.IsPrint(r) && r != '\n' && r != '\t' {
			b.WriteString(strings.Trim(strconv.QuoteToASCII(s[i:i+n]), `"`))
		} else {
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// printLetter prints everything a letter holds.
func printLetter(w io.Writer, l *deadletter.Letter) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-10s "+format+"\n", append([]any{name}, args...)...)
	}
	line("letter", "%s", visible(l.ID.String()))
	switch {
	case l.State == deadletter.Replayed && l.Delivery():
		line("state", "to be delivered again since %s", l.Decided.Format(time.RFC3339))
	case l.State == deadletter.Replayed && l.Mended:
		line("state", "replayed, mended, as %s on %s", l.Again.Short(), l.Decided.Format(time.RFC3339))
	case l.State == deadletter.Replayed:
		line("state", "replayed as %s on %s", l.Again.Short(), l.Decided.Format(time.RFC3339))
	case !l.Decided.IsZero():
		line("state", "%s since %s", l.State, l.Decided.Format(time.RFC3339))
	default:
		line("state", "%s", l.State)
	}
	line("reason", "%s", visible(string(l.Reason)))
	if l.Code != 0 {
		line("code", "%d, of ClickHouse", l.Code)
	}
	line("detail", "%s", visible(l.Detail))
	line("received", "%s", l.Received.UTC().Format(time.RFC3339Nano))
	if !l.Delivery() {
		line("original", "%s, sequence %d", schemas.FeedbackStream(l.ID.Shard), l.ID.Seq)
		line("subject", "%s", visible(l.Subject))
	}
	line("tenant", "%s", visible(l.Tenant))
	line("channel", "%s", visible(l.Channel))
	if l.Former != "" {
		line("former", "%s, of which this is the replay", visible(l.Former))
	}
	for _, name := range slices.Sorted(maps.Keys(l.Header)) {
		line("header", "%s: %s", visible(name), visible(l.Header[name]))
	}
	line("body", "%d bytes", l.Size)
	fmt.Fprintf(w, "%s\n", visible(string(l.Data)))
}

// printLetterJSON prints a letter as one line; whole also prints headers and body.
func printLetterJSON(w io.Writer, l *deadletter.Letter, whole bool) error {
	out := struct {
		ID         string            `json:"id"`
		State      deadletter.State  `json:"state"`
		Reason     schemas.Reason    `json:"reason"`
		Code       int               `json:"code,omitempty"`
		Detail     string            `json:"detail"`
		Received   time.Time         `json:"received"`
		Shard      int               `json:"shard"`
		Sequence   uint64            `json:"sequence"`
		Subject    string            `json:"subject"`
		Tenant     string            `json:"tenant"`
		Channel    string            `json:"channel"`
		Bytes      int               `json:"bytes"`
		Decided    time.Time         `json:"decided,omitzero"`
		ReplayedAs string            `json:"replayed_as,omitempty"`
		Mended     bool              `json:"mended,omitempty"`
		Former     string            `json:"former,omitempty"`
		Header     map[string]string `json:"headers,omitempty"`
		Body       *string           `json:"body,omitempty"`        // of text
		Base64     []byte            `json:"body_base64,omitempty"` // of what is no text
	}{
		ID: l.ID.String(), State: l.State, Reason: l.Reason, Code: l.Code, Detail: l.Detail, Received: l.Received, Shard: l.ID.Shard,
		Sequence: l.ID.Seq, Subject: l.Subject, Tenant: l.Tenant, Channel: l.Channel, Bytes: l.Size, Decided: l.Decided, Mended: l.Mended,
		Former: l.Former,
	}
	if l.State == deadletter.Replayed && !l.Delivery() {
		out.ReplayedAs = l.Again.String()
	}
	if whole {
		out.Header = l.Header
		if text := string(l.Data); utf8.ValidString(text) {
			out.Body = &text
		} else {
			out.Base64 = l.Data
		}
	}
	return json.NewEncoder(w).Encode(out)
}
