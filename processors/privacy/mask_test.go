package privacy_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/earshot/earshot/processors/privacy"
	"github.com/earshot/earshot/schemas"
)

func masker(t testing.TB) *privacy.Masker {
	t.Helper()
	m, err := privacy.NewMasker()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMaskReplacesPersonalDataAndNothingElse(t *testing.T) {
	m := masker(t)
	for _, c := range []struct{ text, want string }{
		{"Write to ann.b+shop@mail.example.co.uk, thanks.", "Write to [email], thanks."},
		{"(ann@example.com)", "([email])"},
		{"mail ann(at)example.com", "mail [email]"},
		{"发到li@example.cn。", "发到[email]。"},
		{"an @ sign, 5@home, @ann, a@b", "an @ sign, 5@home, @ann, a@b"},
		{"card 4111 1111 1111 1111 was charged", "card [card] was charged"},
		{"card 4111 1111 1111 1112 was charged", "card 4111 1111 1111 1112 was charged"}, // no check digit
		{"order 4111111111111111 is late", "order 4111111111111111 is late"},
		{"IBAN DE89 3704 0044 0532 0130 00.", "IBAN [iban]."},
		{"de89370400440532013000", "[iban]"},
		{"DE88370400440532013000", "DE88370400440532013000"},
		{"my SSN 219-09-9999", "my SSN [id]"},
		{"DNI 12345678Z", "DNI [id]"},
		{"DNI 12345678A", "DNI 12345678A"},
		{"身份证11010519491231002X。", "身份证[id]。"},
		{"call +49 (0)30 1234567 now", "call [phone] now"},
		{"call 555-010-1234 or 555-010-9999", "call [phone] or [phone]"},
		{"电话１３８１２３４５６７８", "电话[phone]"},
		{"Tel. 030/1234567", "Tel. [phone]"},
		{"version 10.15.7.2200, 192.168.178.21, 2026-11-03, 03.11.2026", "version 10.15.7.2200, 192.168.178.21, 2026-11-03, 03.11.2026"},
		{"it cost 1.234.567,89 € and 1,234,567 points", "it cost 1.234.567,89 € and 1,234,567 points"},
		{"tracking 1Z999AA10123456784, 00340434161094042557", "tracking 1Z999AA10123456784, 00340434161094042557"},
		{"open 09:00-18:00, since 1999 2000 2001", "open 09:00-18:00, since 1999 2000 2001"},
		{"[email] and [phone] are masked already", "[email] and [phone] are masked already"},
		// What people do not see, or read as something else.
		{"a\u200bnn@exa\u00admple\u2060.com\u200b, thanks", "[email]\u200b, thanks"},
		{"Jose\u0301@example.com", "[email]"},
		{"mail=ann%40example.com&x=%2B49%20171%201234567", "mail=[email]&x=[phone]"},
		{"ann%2540example%252Ecom", "[email]"},
		{"ann&#64;example&#x2e;com ann&commat;example.com ann&amp;#64;example.com", "[email] [email] [email]"},
		{`{\u0022mail\u0022: "ann\u0040example.com"}`, `{\u0022mail\u0022: "[email]"}`},
		{"ａｎｎ＠ｅｘａｍｐｌｅ．ｃｏｍ 𝐚𝐧𝐧@example.com ann@example。com", "[email] [email] [email]"},
		{"ann [at] example [dot] com, ann(at)example(dot)com, ann{at}example.com", "[email], [email], [email]"},
		{"ann dot b at gmail dot com", "[email]"},
		{"write to ann at example dot com", "write to [email]"},
		{"ann @ example.com, bob @example.com", "[email], [email]"},
		{"ann arroba example punto com", "[email]"},
		{"I bought it at amazon dot com. Look at example.com! We met at noon. Dot.", "I bought it at amazon dot com. Look at example.com! We met at noon. Dot."},
		{"option (a) or (b), [at] and [dot], R&D, 20%40 off, 50%25", "option (a) or (b), [at] and [dot], R&D, 20%40 off, 50%25"},
		{"4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 was charged", "[card] was charged"},
		{"4111\u200b1111\u200b1111\u200b1111", "[card]"},
		{"4️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣", "[card]\ufe0f\u20e3"},
		{"4111  1111  1111  1111, 4111-1111 1111 1111, 4111.1111.1111.1111, 41111111 11111111", "[card], [card], [card], [card]"},
		{"DE89  3704  0044 0532.0130.00", "[iban]"},
		{"SSN 123456789, social security 219 09 9999", "SSN [id], social security [id]"},
		{"item 219099999, since 219099999", "item 219099999, since 219099999"},
		{"call 0-1-7-1-1-2-3-4-5-6-7, or + 4 9 1 7 1 1 2 3 4 5 6 7", "call [phone], or + [phone]"},
		{"my number is 20 12 34 56", "my number is [phone]"},
		{"the number is 20 12 34 56; my order number is 20 12 34 56", "the number is 20 12 34 56; my order number is 20 12 34 56"},
		{"ratings 4 5 3 5 5 4 4 5 3 5, sizes 36 38 40 42, 1 2 3 4 5 6 7 8 9 10, 0 1 0 1 1 0 0 1 0 1", "ratings 4 5 3 5 5 4 4 5 3 5, sizes 36 38 40 42, 1 2 3 4 5 6 7 8 9 10, 0 1 0 1 1 0 0 1 0 1"},
	} {
		got, some := m.Mask(c.text)
		if got != c.want || some != (got != c.text) {
			t.Errorf("%q became %q (%v), want %q", c.text, got, some, c.want)
		}
		if again, some := m.Mask(got); some {
			t.Errorf("%q is not masked for good: %q", got, again)
		}
	}
}

func TestEventIsMaskedWhereverWordsAre(t *testing.T) {
	m := masker(t)
	e := &schemas.Event{Tenant: "t", Data: schemas.Data{
		CustomerID: "cust-4711", Text: "I am cust-4711, ann@example.com; xcust-4711x is not me.", QuestionText: "May we call +49 171 1234567?",
		DecisionText: "refund to DE89370400440532013000", URI: "https://example.org/?mail=ann@example.com", OrderID: "171 1234567",
		Metadata: json.RawMessage(`{"first_name":"Ann","age":41,"phone":491711234567,"nested":{"Email":["x"],"note":"ann@example.com","cust-4711":1},"address":{"street":"Main St 1","zip":"10115"},"plan":"gold"}`),
		Extra:    json.RawMessage(`{"a":"\u0061nn@example.com","b":[1.5e3,true,null]}`),
	}}
	m.Event(e, keyer(t, "0123456789abcdef"))
	d := &e.Data
	for what, c := range map[string]struct{ got, want string }{
		"text":     {d.Text, "I am [customer], [email]; xcust-4711x is not me."},
		"question": {d.QuestionText, "May we call [phone]?"},
		"decision": {d.DecisionText, "refund to [iban]"},
		"uri":      {d.URI, "https://example.org/?mail=[email]"},
		"order":    {d.OrderID, "171 1234567"}, // tells orders apart
		"metadata": {string(d.Metadata), `{"first_name":"[name]","age":41,"phone":"[phone]","nested":{"Email":["[email]"],"note":"[email]","[customer]":1},"address":{"street":"[address]","zip":"[address]"},"plan":"gold"}`},
		"extra":    {string(d.Extra), `{"a":"[email]","b":[1.5e3,true,null]}`},
		"state":    {d.PIIState, "redacted"},
	} {
		if c.got != c.want {
			t.Errorf("%s is %s, want %s", what, c.got, c.want)
		}
	}
	for given, want := range map[string]string{"": "none", "raw": "none", "redacted": "redacted"} {
		e := &schemas.Event{Data: schemas.Data{Text: "Late.", PIIState: given}}
		m.Event(e, nil)
		if e.Data.PIIState != want {
			t.Errorf("the state %q of an event without personal data became %q, want %q", given, e.Data.PIIState, want)
		}
	}
	var off *privacy.Masker
	raw := &schemas.Event{Data: schemas.Data{Text: "ann@example.com", PIIState: "raw"}}
	if off.Event(raw, nil); raw.Data.Text != "ann@example.com" || raw.Data.PIIState != "raw" {
		t.Errorf("without masking the event became %+v", raw.Data)
	}
}

// Names of things go on telling them apart: what is personal in one is replaced by the same mark wherever it stands.
func TestNamesOfThingsShowNobody(t *testing.T) {
	m, k := masker(t), keyer(t, "0123456789abcdef")
	fields := func(e *schemas.Event) map[string]*string {
		d := &e.Data
		return map[string]*string{"account": &d.AccountID, "product": &d.ProductID, "order": &d.OrderID, "case": &d.CaseID, "conversation": &d.ConversationID, "reply": &d.InReplyTo, "correlation": &e.Correlation, "trace": &e.TraceParent,
			"agent": &d.AgentID, "team": &d.TeamID, "source": &d.SourceID, "submission": &d.SubmissionID, "field": &d.FieldID, "group": &d.FieldGroupID, "value": &d.ValueID, "theme": &d.ThemeID}
	}
	masked := func(tenant, name string) string {
		e := &schemas.Event{Tenant: tenant}
		for _, f := range fields(e) {
			*f = name
		}
		m.Event(e, k)
		for what, f := range fields(e) {
			if *f != e.Data.OrderID {
				t.Errorf("%q is %q as the name of a %s, and %q as that of an order", name, *f, what, e.Data.OrderID)
			}
		}
		if want := map[bool]string{true: "redacted", false: "none"}[e.Data.OrderID != name]; e.Data.PIIState != want {
			t.Errorf("%q: the state is %q, want %q", name, e.Data.PIIState, want)
		}
		return e.Data.OrderID
	}
	for name, typ := range map[string]string{"ann@example.com": "email", "chat/ann%40example.com/7": "email", "+49 171 1234567": "phone", "0171 1234567": "phone", "4111 1111 1111 1111": "card", "4111111111111111": "card", "DE89370400440532013000": "iban"} {
		got := masked("acme", name)
		if !strings.Contains(got, "["+typ+":") || got != masked("acme", name) || got == masked("acmf", name) {
			t.Errorf("%q became %q", name, got)
		}
		if again := masked("acme", got); again != got {
			t.Errorf("%q became %q, and that %q", name, got, again)
		}
	}
	if masked("acme", "ann@example.com") == masked("acme", "bob@example.com") {
		t.Error("two orders have one name")
	}
	for _, name := range []string{"1234567890", "0612345678", "302-1234567-7654321", "219-09-9999", "SKU-12345678", "2026-11-03", "00340434161094042557", "9b2e7a8c-1d3f-4c5e-8f7a-0123456789ab"} {
		if got := masked("acme", name); got != name {
			t.Errorf("the order %q became %q", name, got)
		}
	}
	e := &schemas.Event{ID: "ann@example.com", Source: "/a", Data: schemas.Data{CustomerSegment: "vip ann@example.com", Touchpoint: "call +49 171 1234567", ResolutionCode: "paid to DE89370400440532013000", EventRef: "/a#ann@example.com"}}
	m.Event(e, k)
	if d := &e.Data; d.CustomerSegment != "vip [email]" || d.Touchpoint != "call [phone]" || d.ResolutionCode != "paid to [iban]" || e.ID != "ann@example.com" || d.EventRef != "/a#ann@example.com" {
		t.Errorf("the event became %+v", e)
	}
}

func TestFurtherPatternsAreReadStrictly(t *testing.T) {
	m, err := privacy.NewMasker(strings.NewReader("# ours\nmember\tXX\t\\bM-\\d{6}\\b\t6\tnone\t-\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := m.Mask("member M-123456 says"); got != "member [id] says" {
		t.Errorf("a further pattern made %q of it", got)
	}
	for fault, text := range map[string]string{"columns": "member\tXX\tM", "pattern member": "member\tXX\t(\t6\tnone\t-", "no check": "member\tXX\tM\t6\tmodulo\t-", "no number": "member\tXX\tM\t1\tnone\t-"} {
		if _, err := privacy.NewMasker(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestQuotesShowNobody(t *testing.T) {
	m := masker(t)
	for _, c := range []struct{ text, want string }{
		{"Late!\n\n Write to ann@example.com or @ann_b, see https://example.org/x?y=1", "Late! Write to [email] or [name], see [link]"},
		{"order 12345678 never came", "order [number] never came"}, // a quote leaves the store
		{strings.Repeat("ä", 300), strings.Repeat("ä", privacy.LongestQuote-1) + "…"},
	} {
		if got := m.Quote(c.text); got != c.want {
			t.Errorf("the quote of %q is %q", c.text, got)
		}
	}
	var off *privacy.Masker
	if got := off.Quote("call +49 171 1234567"); got != "call [number]" {
		t.Errorf("without masking the quote is %q", got)
	}
}

func TestKeysOfLaterVersionsFollowFromTheTable(t *testing.T) {
	k, err := privacy.NewKeyer([]byte("0123456789abcdef"), []byte("fedcba9876543210"), []byte("0000000000000000"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{"": true}
	for v, key := range k.Keys("acme", "ann") {
		if key != k.KeyAt(v+1, "acme", "ann") || key != k.Rekey(k.Key("acme", "ann"), "acme", 1, v+1) || key != k.Rekey(k.KeyAt(v, "acme", "ann"), "acme", v, v+1) {
			t.Errorf("the key of version %d depends on how it is made", v+1)
		}
		if seen[key] {
			t.Errorf("version %d has a key that there was before", v+1)
		}
		seen[key] = true
	}
	if k.Version() != 3 || k.Rekey("", "acme", 1, 3) != "" || k.KeyAt(2, "acme", "") != "" {
		t.Error("an unknown customer has a key, or a version is missing")
	}
	if k.KeyAt(2, "acme", "ann") == k.KeyAt(2, "acmf", "ann") {
		t.Error("two tenants share a customer")
	}
}

// What is found lies within the text, at its characters, in order; masking leaves nothing to be found; and JSON stays JSON.
func FuzzMask(f *testing.F) {
	for _, seed := range []string{"ann@example.com", "４１１１ 1111 1111 1111", "+49 (0)30 / 123-45", "DE89 3704 0044 0532 0130 00", "x@y.zz 身份证11010519491231002X", "\xff@\xfe.aa 0171 1234567"} {
		f.Add(seed, "4711")
	}
	m := masker(f)
	f.Fuzz(func(t *testing.T, text, own string) {
		end := 0
		for _, s := range m.Find(text) {
			if s.Start < end || s.End <= s.Start || s.End > len(text) {
				t.Fatalf("%q: span %+v", text, s)
			}
			if utf8.ValidString(text) && (!utf8.RuneStart(text[s.Start]) || s.End < len(text) && !utf8.RuneStart(text[s.End])) {
				t.Fatalf("%q: span %+v cuts a character", text, s)
			}
			end = s.End
		}
		once, _ := m.Mask(text)
		if len(m.Find(once)) > len(m.Find(text)) {
			t.Fatalf("masking %q makes personal data: %q", text, once)
		}
		raw, err := json.Marshal(map[string]any{"a": text, text: []string{own, text}, "email": text})
		if err != nil || !utf8.ValidString(text) {
			return
		}
		e := &schemas.Event{Data: schemas.Data{CustomerID: own, Metadata: raw}}
		m.Event(e, nil)
		if !json.Valid(e.Data.Metadata) {
			t.Fatalf("%s became %s", raw, e.Data.Metadata)
		}
	})
}

// hostile texts were each made so that some part of the search has to look at it again and again.
func hostile(size int) map[string]string {
	out := map[string]string{}
	for name, unit := range map[string]string{
		"signs": "@", "locals": "a", "addresses": "a@b.cc ", "labels": "a.", "digits": "1", "digits apart": "4 ", "groups": "4111 ", "phones": "+4917112345678 ", "named": "call 12345678 ",
		"brackets": "(", "words in brackets": "[at]", "escapes": "&amp;", "percents": "%25", "percents of signs": "%40", "spoken": " at a dot ", "dots": "a dot ", "letters and digits": "a1",
		"stretches": "1 ab ", "accounts": "DE89 ", "unseen": "\u200b", "unseen between": "4\u200b", "marks": "4\u0336", "Han": "电话1381234567 ", "ids": "110105194912310021 ", "tabs": "\t", "spaces": " ",
	} {
		out[name] = strings.Repeat(unit, size/len(unit))
	}
	out["a domain"] = "a@" + strings.Repeat("b.", size/2)
	out["a word and a number"] = strings.Repeat("x", size/2) + strings.Repeat(" 4 1", size/8)
	out["spaces between"] = strings.Repeat("12345678"+strings.Repeat(" ", 400), size/408)
	return out
}

// Ten times what the contract lets through takes no seconds: the search looks at each place a bounded number of times.
// With a search that looks at every earlier place again it would take minutes.
func TestNoTextTakesLong(t *testing.T) {
	m := masker(t)
	for name, text := range hostile(10 * schemas.MaxTextLength) {
		done := make(chan struct{})
		go func() { m.Mask(text); close(done) }()
		select {
		case <-done:
		case <-time.After(30 * time.Second):
			t.Errorf("%s: not done within half a minute", name)
		}
	}
}

func BenchmarkMaskHostile(b *testing.B) {
	m := masker(b)
	for name, text := range hostile(schemas.MaxTextLength) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				m.Mask(text)
			}
		})
	}
}

func BenchmarkMask(b *testing.B) {
	m := masker(b)
	for name, text := range map[string]string{
		"plain":  "Parcel arrived crushed and nobody answered for three days. I will buy elsewhere, size 42 was wrong too.",
		"number": "Parcel 12345678 arrived crushed and nobody answered for three days. I will buy elsewhere. Order 87654321.",
		"phone":  "Parcel arrived crushed and nobody answered for three days. Call me: +49 171 1234567 or ann@example.com.",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m.Mask(text)
			}
		})
	}
}
