package schemas

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEveryKindAsksOnlyForFieldsThatExist(t *testing.T) {
	for _, k := range Kinds() {
		for _, name := range slices.Concat(k.Required, k.AnyOf) {
			if f := fieldByName[name]; f == nil || f.text == nil && f.number == nil && f.flag == nil {
				t.Errorf("%s asks for %s, which no event can be asked for", k.Kind, name)
			}
		}
		if got, ok := ParseType(k.Kind.Type()); !ok || got != k.Kind {
			t.Errorf("%s is read as %q", k.Kind.Type(), got)
		}
		if n := strings.Count(string(k.Kind), ".") + 1; n > 3 {
			t.Errorf("%s has %d tokens, the subject mappings know up to 3", k.Kind, n)
		}
	}
}

func TestFieldsNamesEveryMemberOfDataOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range Fields() {
		if seen[f.Name] || f.Doc == "" || !slices.Contains([]string{"string", "number", "boolean", "object", "array"}, f.Type) {
			t.Errorf("%+v", f)
		}
		seen[f.Name] = true
	}
	if len(seen) != len(fields) {
		t.Errorf("%d names of %d", len(seen), len(fields))
	}
}

func TestTheTaxonomyIsClosed(t *testing.T) {
	for _, f := range Facets() {
		if e := f.Element(); e == Unspecified || !ValidElement(e) {
			t.Errorf("%s is a part of %s", f, e)
		}
	}
	for f, want := range map[Facet]Element{Price: Product, Aftersale: Service, Impression: Image, "": Unspecified, "colour": Unspecified} {
		if got := f.Element(); got != want {
			t.Errorf("%q is a part of %s, want %s", f, got, want)
		}
	}
	if ValidElement("colour") || !ValidElement(Unspecified) {
		t.Error("an element is one of three, or unspecified")
	}
	if len(Elements()) != len(Scores{}.Element) || len(Facets()) != len(Scores{}.Facet) || len(Virtues()) != len(Scores{}.S5) {
		t.Error("the score columns are not one for each of the axes")
	}
	for _, pair := range [][2][]string{
		{fieldByName["channel"].values, Channels()},
		{fieldByName["element_hint"].values, asStrings(Elements())},
		{fieldByName["s5_hint"].values, asStrings(Virtues())},
	} {
		if !slices.Equal(pair[0], pair[1]) {
			t.Errorf("the field takes %v, the taxonomy has %v", pair[0], pair[1])
		}
	}
}

func asStrings[S ~string](list []S) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return out
}

func TestQuantise(t *testing.T) {
	for in, want := range map[float64]float32{0: 0, 1: 1, 2: 1, -7: -1, 0.5: 0.5, 1.0 / 300: 0, 0.0039: 0, 0.00391: 1.0 / 128, -0.3: -38.0 / 128, math.Inf(1): 1} {
		if got := Quantise(in); got != want {
			t.Errorf("%g becomes %g, want %g", in, got, want)
		}
	}
	if Quantise(math.NaN()) != 0 {
		t.Error("NaN is no score")
	}
}

func TestSubjectsOfAShard(t *testing.T) {
	for got, want := range map[string]string{
		FeedbackStream(3):                      "FEEDBACK_3",
		strings.Join(FeedbackSubjects(0), " "): "feedback.0.> feedback.in.>",
		strings.Join(FeedbackSubjects(3), " "): "feedback.3.>",
		PlanSubject(3):                         "plan.3",
		CheckpointSubject(3):                   "checkpoint.3",
		InsightSubject("a.b", "web", Praise):   "insight.a%2Eb.web.praise",
		DeadSubject(3, ReasonParse):            "dead.3.parse_error",
		DeadSubject(AlertShard, ReasonParse):   "dead.alerts.parse_error",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	e := Event{Tenant: "a b", Kind: CaseOpened, Source: "/s", ID: "1", Data: Data{Channel: "web", CustomerID: "c"}}
	if got, want := e.InSubject(), "feedback.in.a%20b.web.case.opened."+KeyToken("a b", "c"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := e.LogSubject(2), "feedback.2.a%20b.web.case.opened"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestReasonIsThatOfTheGravestProblem(t *testing.T) {
	for _, c := range []struct {
		in   []Reason
		want Reason
	}{
		{[]Reason{ReasonSchema}, ReasonSchema},
		{[]Reason{ReasonSchema, ReasonTooLarge, ReasonSchema}, ReasonTooLarge},
		{[]Reason{ReasonTooLarge, ReasonParse}, ReasonParse},
	} {
		var ps Problems
		for _, r := range c.in {
			ps = append(ps, Problem{Detail: "x", Reason: r})
		}
		if got := ps.Reason(); got != c.want {
			t.Errorf("%v: %s, want %s", c.in, got, c.want)
		}
	}
	for i, r := range Reasons() {
		if Token(string(r)) != string(r) || slices.Index(Reasons(), r) != i {
			t.Errorf("%s is no subject token, or there twice", r)
		}
	}
}

// row is a row with something in every field that the digest covers.
func row() *Row {
	x := Score{Value: 0.5, Valid: true}
	return &Row{Event: &Event{Time: now, Data: Data{Text: "t"}}, ID: Identify("a", "/s", "1"), CustomerKey: "k", Epoch: "e", Shard: 1, Seq: 7, Generation: 1,
		Labels: Labels{Polarity: Positive, Sentiment: VeryPositive, Score: 0.5, Confidence: 0.9, Intent: Praise, Element: Product, Urgency: UrgencyLow,
			ChurnReasons: []string{"r"}, Language: "en", Quality: QualityOK, Model: "m", Mentions: []Mention{{Element: Service, S5: Speed, Polarity: -0.5, End: 3}}},
		Scores: Scores{Element: [3]Score{x}, Rating: x}}
}

func TestTheDigestChangesWithWhatTheRowSays(t *testing.T) {
	base := row()
	buf := base.Seal(nil)
	if again := row(); again.Seal(buf) == nil || again.Digest != base.Digest {
		t.Fatal("two equal rows have two digests")
	}
	if base.Digest != 6240443797092134598 {
		t.Errorf("the digest of a row of version 1 is %d: rows that are stored have another", base.Digest)
	}
	seen := map[uint64]string{base.Digest: "unchanged"}
	for name, change := range map[string]func(*Row){
		"id": func(r *Row) { r.ID[0]++ }, "seq": func(r *Row) { r.Seq++ }, "shard": func(r *Row) { r.Shard++ },
		"generation": func(r *Row) { r.Generation++ }, "epoch": func(r *Row) { r.Epoch = "f" }, "customer": func(r *Row) { r.CustomerKey = "" },
		"time": func(r *Row) { r.Event.Time = now.Add(time.Millisecond) }, "text": func(r *Row) { r.Event.Data.Text = "u" },
		"polarity": func(r *Row) { r.Labels.Polarity = Negative }, "intent": func(r *Row) { r.Labels.Intent = Complaint },
		"score": func(r *Row) { r.Labels.Score = 0.25 }, "churn": func(r *Row) { r.Labels.ChurnRisk = 1 }, "effort": func(r *Row) { r.Labels.Effort = 3 },
		"answer": func(r *Row) { r.Labels.ResponseNeeded = true }, "reasons": func(r *Row) { r.Labels.ChurnReasons = nil },
		"mention": func(r *Row) { r.Labels.Mentions[0].Polarity = 0.5 }, "span": func(r *Row) { r.Labels.Mentions[0].End = 4 },
		"no mention": func(r *Row) { r.Labels.Mentions = nil }, "zero is not absent": func(r *Row) { r.Scores.S5[0] = Score{Valid: true} },
		"element": func(r *Row) { r.Scores.Element[0].Value = 1 }, "another axis": func(r *Row) { r.Scores.Element = [3]Score{{}, r.Scores.Element[0]} },
		"rating": func(r *Row) { r.Scores.Rating = Score{} }, "stage": func(r *Row) { r.Labels.Stage = StageSale }, "sure stage": func(r *Row) { r.Labels.Stage, r.Labels.StageConfidence = StageSale, 1 },
		"words alone": func(r *Row) { r.Labels.SentimentText = Positive }, "disagrees": func(r *Row) { r.Scores.RatingDisagrees = true },
		"words moved between fields": func(r *Row) { r.Epoch, r.CustomerKey = "ek", "" },
	} {
		r := row()
		change(r)
		r.Seal(nil)
		if other, ok := seen[r.Digest]; ok {
			t.Errorf("%q has the digest of %q", name, other)
		}
		seen[r.Digest] = name
	}
}

func TestDigestsOfARange(t *testing.T) {
	rows := []Row{{Digest: math.MaxUint64}, {Digest: 3}, {Digest: 5}}
	turned := []Row{rows[2], rows[0], rows[1]}
	if got := SumDigests(rows); got != 7 || SumDigests(turned) != got {
		t.Errorf("the sum is %d, in another order %d, want 7: modulo 2^64 and in any order", got, SumDigests(turned))
	}
	if HashDigests(rows) == HashDigests(turned) || HashDigests(nil) != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		t.Error("the hash must tell orders apart, and be SHA-256")
	}
}

func TestPlacesAreThoseOfTheLists(t *testing.T) {
	for i, e := range Elements() {
		if e.Place() != i {
			t.Errorf("%s stands at %d, its place is %d", e, i, e.Place())
		}
	}
	for i, f := range Facets() {
		if f.Place() != i {
			t.Errorf("%s stands at %d, its place is %d", f, i, f.Place())
		}
	}
	for i, v := range Virtues() {
		if v.Place() != i {
			t.Errorf("%s stands at %d, its place is %d", v, i, v.Place())
		}
	}
	if Unspecified.Place() != -1 || Facet("").Place() != -1 || S5("x").Place() != -1 {
		t.Error("what is not in a list has a place in it")
	}
}

// An event is what the subject says on which it came: that is all the broker asks about.
func TestAnEventIsWhatItsSubjectSays(t *testing.T) {
	e := Event{Tenant: "a.b", Kind: FeedbackReceived, Source: "/x", ID: "1", Data: Data{Channel: "support", CustomerID: "c"}}
	erase := e
	erase.Kind = CustomerEraseRequested
	for subject, want := range map[string]string{
		e.InSubject(): "", e.LogSubject(3): "", "feedback.0.a%2Eb.support.feedback.received.v1": "", "feedback.in.a%2Eb.support.feedback.received.v1.key": "",
		"feedback.0.other.support.feedback.received": "tenantid", "feedback.in.other.support.feedback.received.k": "tenantid",
		"feedback.0.a%2Eb.email.feedback.received": "data.channel", "feedback.0.a%2Eb.support.rating.submitted": "type",
		erase.LogSubject(0): "type", erase.InSubject(): "type", "feedback.0.a%2Eb.support.feedback.receivedx": "type", "feedback.0.x.email.x": "tenantid data.channel type",
		"plan.0": "", "feedback.0.a.b": "", "": "",
	} {
		var fields []string
		for _, p := range e.Misplaced(subject) {
			fields = append(fields, p.Field)
		}
		if got := strings.Join(fields, " "); got != want {
			t.Errorf("%s: %q, want %q", subject, got, want)
		}
	}
}
