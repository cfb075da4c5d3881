package schemas

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
)

// body reads a file of the corpus. A file that ends in .tmpl holds «repeat "text" n» where the text would be too long to
// keep.
func body(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(file, ".tmpl") {
		return b
	}
	tmpl, err := template.New(file).Delims("«", "»").Funcs(template.FuncMap{"repeat": strings.Repeat}).Parse(string(b))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := tmpl.Execute(&out, nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestMalformed reads testdata/malformed, one fault or more a file, against testdata/malformed.golden.
func TestMalformed(t *testing.T) {
	files, _ := filepath.Glob("testdata/malformed/*")
	if len(files) < 25 {
		t.Fatalf("only %d files", len(files))
	}
	var got strings.Builder
	for _, file := range files {
		e, ps := DecodeStructured(body(t, file), now)
		if e != nil || len(ps) == 0 {
			t.Errorf("%s was accepted", file)
		}
		fmt.Fprintf(&got, "%s: %s\n", filepath.Base(file), ps.Reason())
		for _, p := range ps {
			fmt.Fprintf(&got, "\t%s %s\n", p.Reason, p)
			if p.Detail == "" || p.Bound == "" || p.Reason == "" {
				t.Errorf("%s: %+v does not say what is wrong and what is allowed", file, p)
			}
			if n := len(p.Value); n > 300 {
				t.Errorf("%s: a problem carries %d bytes of the event", file, n)
			}
		}
	}
	golden(t, "testdata/malformed.golden", got.String())
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s; got:\n%s", file, got)
	}
}

const good = `{"specversion":"1.0","id":"98123","source":"/zendesk/acme","type":"feedback.received.v1","time":"2026-11-20T08:31:07Z","subject":"c_7f3a","tenantid":"acme","correlationid":"case-441","datacontenttype":"application/json","data":{"channel":"support","submission_id":"98123","field_id":"body","field_type":"text","value_text":"Parcel arrived crushed and nobody answered for three days. I will buy elsewhere.","language":"en","customer_id":"c_7f3a","stage_hint":"after_sale","conversation_id":"t-441"}}`

func TestDecodeReadsEveryWayOfWritingJSON(t *testing.T) {
	for _, c := range []struct{ claim, old, new, text string }{
		{"escapes in a value", "Parcel arrived crushed", `\u0050arcel \"arrived\" \\crushed\/ \ud83d\ude00\n`, "Parcel \"arrived\" \\crushed/ 😀\n and nobody"},
		{"a backslash before the closing quote", "elsewhere.", `elsewhere\\`, `I will buy elsewhere\`},
		{"escapes in a name", `"value_text"`, `"value\u005ftext"`, "Parcel arrived crushed and nobody"},
		{"escapes in the name data", `"data"`, `"\u0064ata"`, "Parcel arrived"},
		{"white space everywhere", `"value_text":"`, " \n\t\"value_text\" \r\n : \t\"", "Parcel arrived"},
		{"brackets and quotes inside an unknown member", `"language":`, `"x":[{"a]}":"}\"],{"},["\\"]],"language":`, "Parcel arrived"},
		{"an empty object and an empty list", `"language":`, `"x":{},"y":[ ],"language":`, "Parcel arrived"},
		{"a comment-like text", "Parcel", "// Parcel , : {", "// Parcel , : {"},
	} {
		t.Run(c.claim, func(t *testing.T) {
			e, ps := DecodeStructured([]byte(strings.Replace(good, c.old, c.new, 1)), now)
			if ps != nil {
				t.Fatal(ps)
			}
			if !strings.Contains(e.Data.Text, c.text) || e.Data.Language != "en" || e.Data.ConversationID != "t-441" || e.Tenant != "acme" {
				t.Errorf("read as %+v", e)
			}
			sameAfterEncoding(t, e)
		})
	}
}

func TestAnEventDoesNotShareMemoryWithItsBytes(t *testing.T) {
	b := []byte(strings.Replace(good, `"language"`, `"metadata":{"a":1},"attachments":[],"x":1,"language"`, 1))
	e, ps := DecodeStructured(b, now)
	if ps != nil {
		t.Fatal(ps)
	}
	for i := range b {
		b[i] = '#'
	}
	if e.ID != "98123" || string(e.Data.Metadata) != `{"a":1}` || string(e.Data.Extra) != `{"x":1}` || !strings.HasPrefix(e.Data.Text, "Parcel") {
		t.Errorf("%+v", e)
	}
}

func TestMoreProblemsThanAreReportedAreCounted(t *testing.T) {
	var list []string
	for i := range 40 {
		list = append(list, fmt.Sprintf(`"x%d":{}`, i))
	}
	_, ps := DecodeStructured([]byte("{"+strings.Join(list, ",")+"}"), now)
	// 40 extensions that are objects, and the seven things that are missing.
	if len(ps) != MaxProblems+1 || ps[MaxProblems].Value != "15" {
		t.Fatalf("%d problems, the last %+v", len(ps), ps[len(ps)-1])
	}
}

func TestDecodeBatch(t *testing.T) {
	for _, c := range []struct {
		claim, batch string
		limit        int
		events       int // elements that came back
		faulty       string
		at           int
		whole        Reason
	}{
		{"one", "[" + good + "]", 0, 1, "[]", -1, ""},
		{"each judged by itself", "[" + good + ",{}, 5 ,[]," + good + "]", 0, 5, "[1 2 3]", -1, ""},
		{"as many as allowed", "[" + good + "," + good + "]", 2, 2, "[]", -1, ""},
		{"one more than allowed", "[" + good + "," + good + "]", 1, 0, "[]", -1, ReasonTooLarge},
		{"none", " [ ] ", 0, 0, "[]", -1, ReasonSchema},
		{"not a list", good, 0, 0, "[]", -1, ReasonParse},
		{"nothing", "", 0, 0, "[]", -1, ReasonParse},
		{"broken in the second", "[" + good + ",{\"a\":1,\"a\":2}," + good + "]", 0, 0, "[]", 1, ReasonParse},
		{"something after it", "[" + good + "] x", 0, 0, "[]", -1, ReasonParse},
	} {
		t.Run(c.claim, func(t *testing.T) {
			events, at, whole := DecodeBatch([]byte(c.batch), now, c.limit)
			faulty := []int{}
			for i, e := range events {
				if len(e.Problems) > 0 {
					faulty = append(faulty, i)
				} else if string(e.Raw) != good || e.Event.ID != "98123" {
					t.Errorf("element %d is %s", i, e.Raw)
				}
			}
			if len(events) != c.events || fmt.Sprint(faulty) != c.faulty || at != c.at {
				t.Errorf("%d events, faulty %v, at %d", len(events), faulty, at)
			}
			if (len(whole) > 0) != (c.whole != "") || c.whole != "" && whole.Reason() != c.whole {
				t.Errorf("the whole: %v, want %q", whole, c.whole)
			}
		})
	}
}

func TestOneElementOfABatchMayNotGrowIntoTheNext(t *testing.T) {
	b := []byte("[" + good + "," + good + "]")
	events, _, _ := DecodeBatch(b, now, 0)
	_ = append(events[0].Raw, "xxxxx"...)
	if string(events[1].Raw) != good {
		t.Error("appending to one element overwrote another")
	}
}

func TestDecodeRecord(t *testing.T) {
	data := `{"channel":"store","value_text":"ok"}`
	bin := func(more ...string) map[string]string {
		h := map[string]string{"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "feedback.received.v1",
			"ce-time": "2026-11-20T08:31:07Z", "ce-tenantid": "acme"}
		for i := 0; i < len(more); i += 2 {
			h[more[i]] = more[i+1]
		}
		return h
	}
	for _, c := range []struct {
		claim  string
		header map[string]string
		data   string
		want   string // id and tenant, or the reason
	}{
		{"structured", map[string]string{"content-type": ContentTypeEvent}, good, "98123 acme"},
		{"structured, as others spell it", map[string]string{"Content-Type": "Application/CloudEvents+JSON; charset=utf-8"}, good, "98123 acme"},
		{"no headers at all", nil, good, "98123 acme"},
		{"binary", bin("content-type", "application/json"), data, "1 acme"},
		{"binary without content type", bin(), data, "1 acme"},
		{"binary in capitals", map[string]string{"CE-SpecVersion": "1.0", "CE-ID": "1", "CE-SOURCE": "/s", "CE-TYPE": "feedback.received.v1", "CE-TIME": "2026-11-20T08:31:07Z", "CE-TENANTID": "acme"}, data, "1 acme"},
		{"of two spellings the lower case wins, always", bin("CE-ID", "2", "Ce-Id", "3"), data, "1 acme"},
		{"binary with percent-encoding", bin("ce-tenantid", "caf%C3%A9%20%zz%2"), data, "1 café %zz%2"},
		{"headers that are no CloudEvent's", map[string]string{"content-type": "application/json", "Nats-Msg-Id": "x"}, good, "98123 acme"},
		{"structured wins over stray attributes", bin("content-type", ContentTypeEvent), good, "98123 acme"},
		{"binary of something else", bin("content-type", "text/plain"), data, "schema_mismatch"},
		{"binary with bytes that are not UTF-8", bin("ce-id", "%FF"), data, "parse_error"},
		{"binary without data", bin(), "", "schema_mismatch"},
		{"binary with null as data", bin(), "null", "schema_mismatch"},
		{"binary with two values as data", bin(), data + data, "parse_error"},
		{"a batch is not one event", map[string]string{"content-type": ContentTypeBatch}, "[" + good + "]", "parse_error"},
		{"nothing", nil, "", "parse_error"},
	} {
		t.Run(c.claim, func(t *testing.T) {
			for range 20 { // maps are walked in another order each time; the answer must not change
				e, ps := DecodeRecord(&Record{Time: now, Header: c.header, Data: []byte(c.data)})
				got := ""
				if e != nil {
					got = e.ID + " " + e.Tenant
				} else {
					got = string(ps.Reason())
				}
				if got != c.want {
					t.Fatalf("%q, want %q: %v", got, c.want, ps)
				}
			}
		})
	}
}

func TestDecodeBinaryReportsAllProblemsInOneOrder(t *testing.T) {
	attrs := Attributes{"id": "", "source": "a b", "time": "soon", "type": "x", "zz": "a\x01", "aa": "\xff", "specversion": "9"}
	_, first := DecodeBinary(attrs, []byte(`{"channel":"pigeon"}`), now)
	if len(first) != 9 {
		t.Fatalf("%d problems: %v", len(first), first)
	}
	for range 20 {
		if _, ps := DecodeBinary(attrs, []byte(`{"channel":"pigeon"}`), now); ps.Error() != first.Error() {
			t.Fatalf("the order changed:\n%v\n%v", first, ps)
		}
	}
}

// BenchmarkDecodeStructured is an event of 480 bytes, as a helpdesk sends it.
func BenchmarkDecodeStructured(b *testing.B) {
	raw := []byte(good)
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, p := DecodeStructured(raw, now); p != nil {
			b.Fatal(p)
		}
	}
}

// BenchmarkAppendStructured is the way back.
func BenchmarkAppendStructured(b *testing.B) {
	e, ps := DecodeStructured([]byte(good), now)
	if ps != nil {
		b.Fatal(ps)
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendStructured(buf[:0], e)
	}
}
