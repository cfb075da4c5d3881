package schemas

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// judged checks what holds of any answer of the decoder.
func judged(t *testing.T, e *Event, ps Problems) {
	t.Helper()
	if (e == nil) == (len(ps) == 0) {
		t.Fatalf("event %v with problems %v", e, ps)
	}
	for _, p := range ps {
		if p.Detail == "" || p.Reason == "" || !utf8.ValidString(p.String()) {
			t.Fatalf("%+v", p)
		}
	}
	if e == nil {
		return
	}
	if len(Token(e.Tenant)) > 100 || strings.ContainsAny(e.LogSubject(1), " \t\r\n*>") || strings.Contains(e.InSubject(), "..") {
		t.Fatalf("%q is no subject", e.InSubject())
	}
	sameAfterEncoding(t, e)
}

func FuzzDecodeStructured(f *testing.F) {
	for _, pattern := range []string{"testdata/events/*/*.json", "testdata/malformed/*"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			if b := body(f, file); len(b) < 4096 {
				f.Add(b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, ps := DecodeStructured(b, now)
		judged(t, e, ps)
		// As the one element of a batch it is the same event.
		events, _, whole := DecodeBatch(append(append([]byte("["), b...), ']'), now, 0)
		if e != nil && (len(whole) > 0 || len(events) != 1 || events[0].Event == nil || !bytes.Equal(events[0].Raw, bytes.Trim(b, " \t\r\n"))) {
			t.Fatalf("alone it is an event, in a batch %v %v", events, whole)
		}
	})
}

func FuzzDecodeBinary(f *testing.F) {
	f.Add("1", "/s", "feedback.received.v1", "2026-11-20T08:31:07Z", "acme", "c", []byte(`{"value_text":"ok"}`))
	f.Add("\x00", "http://[::1", "com.x.rating.submitted.v1", "2026-11-20", "\xff", "", []byte(`{"value_number":1e999}`))
	f.Add("a%20b", "//", "v1", "", "", "", []byte(`null`))
	f.Fuzz(func(t *testing.T, id, source, typ, at, tenant, subject string, data []byte) {
		attrs := Attributes{"specversion": "1.0", "id": id, "source": source, "type": typ, "time": at, "tenantid": tenant, "subject": subject}
		e, ps := DecodeBinary(attrs, data, now)
		judged(t, e, ps)
		if e == nil {
			return
		}
		// In structured form, as the log keeps it, it is the same event.
		if b := AppendBinary(nil, attrs, data); len(b) <= MaxEventBytes {
			again, ps := DecodeStructured(b, now)
			if ps != nil || again.Identity() != e.Identity() || again.PartitionKey() != e.PartitionKey() {
				t.Fatalf("%v\n%s", ps, b)
			}
		}
	})
}

func FuzzType(f *testing.F) {
	for _, s := range []string{"feedback.received.v1", "com.acme.case.opened.v1", ".case.opened.v1", "case.opened", "v1", ".v1", "a..case.opened.v1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k, ok := ParseType(s)
		if !ok {
			if k != "" {
				t.Fatalf("%q is unknown and yet %q", s, k)
			}
			return
		}
		if _, known := k.Spec(); !known || s != k.Type() && !strings.HasSuffix(s, "."+k.Type()) {
			t.Fatalf("%q was read as %q", s, k)
		}
	})
}

func FuzzToken(f *testing.F) {
	for _, s := range []string{"", "acme", "a.b", "*", ">", "\x00", "ü", strings.Repeat("x", 101), "%2E", "%"} {
		f.Add(s, s+".")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := Token(a), Token(b)
		if x == "" || len(x) > 100 || strings.Trim(x, "%-_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") != "" {
			t.Fatalf("%q becomes %q", a, x)
		}
		if a != b && x == y {
			t.Fatalf("%q and %q both become %q", a, b, x)
		}
	})
}
