package privacy

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/earshot/earshot/schemas"
)

// States of an event's words, as the column pii_state has them.
const (
	stateRedacted = "redacted" // personal data was found and masked, here or by the source
	stateNone     = "none"     // none was found
)

// Event masks personal data in the words of an event and in what else the source sent along, and says in its PIIState
// whether there was any. A nil Masker changes nothing.
//
// What names something, such as an order or a conversation, must go on telling one from another. Addresses of e-mail,
// telephone numbers, cards and accounts in it become [Keyer.Mark]s. Names without any stay as they are, and so do the
// event's own id and source, by which it is known when it comes again, and references to them.
func (m *Masker) Event(e *schemas.Event, keys *Keyer) {
	if m == nil {
		return
	}
	d := &e.Data
	own := e.Customer()
	found := d.PIIState == stateRedacted
	for _, text := range [...]*string{&d.Text, &d.QuestionText, &d.DecisionText, &d.FieldLabel, &d.FieldGroupLabel, &d.SourceName, &d.NewValue, &d.URI,
		&d.CustomerSegment, &d.Touchpoint, &d.ResolutionCode, &d.Language} {
		if *text == "" {
			continue
		}
		masked, some := m.personal(*text, own)
		*text, found = masked, found || some
	}
	for _, name := range [...]*string{&d.AccountID, &d.ProductID, &d.OrderID, &d.CaseID, &d.ConversationID, &d.InReplyTo, &e.Correlation, &e.TraceParent, &d.AgentID, &d.TeamID,
		&d.SourceID, &d.SubmissionID, &d.FieldID, &d.FieldGroupID, &d.ValueID, &d.ThemeID} {
		if *name == "" {
			continue
		}
		masked, some := m.name(*name, e.Tenant, keys)
		*name, found = masked, found || some
	}
	for _, raw := range [...]*json.RawMessage{&d.Metadata, &d.Extra, &d.Attachments} {
		if len(*raw) == 0 {
			continue
		}
		masked, some := m.json(*raw, own)
		*raw, found = masked, found || some
	}
	d.PIIState = stateNone
	if found {
		d.PIIState = stateRedacted
	}
}

// name masks what is personal in the name of something. Numbers count only in a form that names do not have by chance.
func (m *Masker) name(name, tenant string, keys *Keyer) (string, bool) {
	var b strings.Builder
	at := 0
	for _, s := range m.Find(name) {
		what := name[s.Start:s.End]
		switch s.Type {
		case Email, Card, IBAN:
		case Phone:
			if !strings.ContainsAny(what, "+ (") {
				continue
			}
		default:
			continue
		}
		b.WriteString(name[at:s.Start])
		b.WriteString(keys.Mark(s.Type, tenant, what))
		at = s.End
	}
	if at == 0 {
		return name, false
	}
	b.WriteString(name[at:])
	return b.String(), true
}

// personal masks one text, the customer's own number or name included.
func (m *Masker) personal(text, own string) (string, bool) {
	text, named := maskOwn(text, own)
	text, some := m.Mask(text)
	return text, named || some
}

// shortestOwn is how long a customer's own number or name must be to be looked for: shorter ones are found everywhere.
const shortestOwn = 5

// maskOwn masks the customer's own number or name where it stands by itself.
func maskOwn(text, own string) (string, bool) {
	if len(own) < shortestOwn || !strings.Contains(text, own) {
		return text, false
	}
	var spans []Span
	for at := 0; ; {
		i := strings.Index(text[at:], own)
		if i < 0 {
			break
		}
		start, end := at+i, at+i+len(own)
		at = end
		if (start == 0 || !wordByte(text[start-1]) || !wordByte(own[0])) && (end == len(text) || !wordByte(text[end]) || !wordByte(own[len(own)-1])) {
			spans = append(spans, Span{start, end, Customer})
		}
	}
	if len(spans) == 0 {
		return text, false
	}
	return replace(text, spans), true
}

// json masks the strings of a JSON value, keys included, and the values of members whose names say that they are personal.
// What is no JSON is left as it is: the contract lets none through.
func (m *Masker) json(raw json.RawMessage, own string) (json.RawMessage, bool) {
	out := make([]byte, 0, len(raw))
	found := false
	says := Type("") // of the member whose value comes next
	depth := 0       // of the objects and arrays within such a value
	for i := 0; i < len(raw); {
		c := raw[i]
		switch {
		case c == '"':
			end := stringEnd(raw, i)
			var text string
			if json.Unmarshal(raw[i:end], &text) != nil {
				return raw, false
			}
			key := nextByte(raw, end) == ':'
			masked, some := text, false
			switch {
			case !key && says != "" && text != "":
				masked, some = "["+string(says)+"]", true
			default:
				masked, some = m.personal(text, own)
			}
			if some {
				found = true
				quoted, _ := json.Marshal(masked) // a string can always be marshalled
				out = append(out, quoted...)
			} else {
				out = append(out, raw[i:end]...)
			}
			if key && depth == 0 {
				says = m.fields[fieldName(text)]
			}
			i = end
		case c == '-' || digit(c):
			end := i + 1
			for end < len(raw) && strings.IndexByte("0123456789.eE+-", raw[end]) >= 0 {
				end++
			}
			text := string(raw[i:end])
			masked, some := m.personal(text, own)
			if says != "" {
				masked, some = "["+string(says)+"]", true
			}
			if some {
				found = true
				out = append(append(append(out, '"'), masked...), '"')
			} else {
				out = append(out, text...)
			}
			i = end
		default:
			switch {
			case says != "" && (c == '{' || c == '['):
				depth++
			case says != "" && (c == '}' || c == ']') && depth > 0:
				depth--
			}
			if depth == 0 && (c == ',' || c == '}' || c == ']') {
				says = ""
			}
			out = append(out, c)
			i++
		}
	}
	if !found {
		return raw, false
	}
	return out, true
}

// stringEnd is where the string that begins at a place of JSON ends.
func stringEnd(raw []byte, at int) int {
	for i := at + 1; i < len(raw); i++ {
		switch raw[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(raw)
}

// nextByte is the next byte that is no space, 0 at the end.
func nextByte(raw []byte, at int) byte {
	for ; at < len(raw); at++ {
		if c := raw[at]; c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return c
		}
	}
	return 0
}

// fieldName brings the name of a member into the form of the list: lower case, without what joins its words.
func fieldName(name string) string {
	if len(name) > 64 || !utf8.ValidString(name) {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == ' ' || r == '.' {
			return -1
		}
		return r
	}, strings.ToLower(name))
}
