package themes

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/schemas"
)

var monday = time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)

const week = 7 * 24 * time.Hour

// chatter is ordinary feedback of one week: 200 customers, a third of them unhappy about delivery.
func chatter(week int, n int) (out []Text) {
	rng := rand.New(rand.NewPCG(uint64(week), 3))
	things := []string{"jacket", "shoes", "lamp", "kettle", "phone cover", "backpack", "bottle"}
	for i := range n {
		thing := things[rng.IntN(len(things))]
		t := Text{Customer: fmt.Sprintf("w%d-%d", week, i), At: monday.Add(time.Duration(week)*7*24*time.Hour + time.Duration(rng.IntN(7*24*60))*time.Minute)}
		switch rng.IntN(6) {
		case 0, 1:
			t.Text = fmt.Sprintf("The %s arrived two weeks late and the courier company never answered my mails.", thing)
			t.Unhappy = true
			t.Mentions = []schemas.Mention{{Element: schemas.Service, Facet: schemas.Sale, Theme: "late-delivery", Polarity: -1, End: uint32(len(t.Text))}}
		case 2:
			t.Text = fmt.Sprintf("Lovely %s, my daughter wears it every day. Thank you!", thing)
		case 3:
			t.Text = fmt.Sprintf("Good quality and the colour of the %s is as pictured.", thing)
		case 4:
			t.Text = fmt.Sprintf("I bought the %s for my holiday and it does what it should.", thing)
		default:
			t.Text = fmt.Sprintf("The %s is fine, the shop assistant was friendly.", thing)
		}
		out = append(out, t)
	}
	return out
}

// planted are customers who all of a sudden speak of a thing that no taxonomy knows.
func planted(week, n int) (out []Text) {
	forms := []string{
		"My gift card was declined at the checkout, although it has money on it.",
		"Declined gift card again! I had to pay with my own money.",
		"The till said gift card declined. Embarrassing in front of everybody.",
		"Two gift cards declined in the app, nobody could explain why.",
	}
	for i := range n {
		out = append(out, Text{Customer: fmt.Sprintf("g%d-%d", week, i), At: monday.Add(time.Duration(week)*7*24*time.Hour + time.Duration(i)*time.Hour),
			Text: forms[i%len(forms)], Unhappy: true, Mentions: []schemas.Mention{{Element: schemas.Service, Polarity: -0.5, End: 10}}})
	}
	return out
}

func about(b *Book, words string) (out []Theme) {
	for _, t := range b.Themes {
		if strings.Contains(strings.ToLower(t.Name+" "+strings.Join(t.Phrases, " ")), words) {
			out = append(out, t)
		}
	}
	return out
}

// A thing that nobody spoke of appears in the third week: it is found, named in the customers' words, known as emergent,
// and what was there before keeps its id. Found again a week later it is the same theme.
func TestAPlantedThemeIsFound(t *testing.T) {
	texts := slices.Concat(chatter(0, 200), chatter(1, 200))
	for i := range 12 { // an older theme, steady
		texts = append(texts, Text{Customer: fmt.Sprintf("p%d", i), At: monday.Add(time.Duration(i) * 26 * time.Hour), Unhappy: true,
			Text: "The parking garage was closed when I came to collect it."})
	}
	first := Discover(texts, nil, Options{})
	old := about(first, "parking garage")
	if len(old) != 1 || len(about(first, "gift")) > 0 {
		t.Fatalf("two weeks in: %+v, want one theme of the parking garage and none of gift cards", first.Themes)
	}
	texts = slices.Concat(texts, chatter(2, 200), planted(2, 24))
	second := Discover(texts, first, Options{})
	got := about(second, "gift card")
	if len(got) != 1 {
		t.Fatalf("found %+v, want one theme of gift cards", got)
	}
	g := got[0]
	if !strings.Contains(strings.ToLower(g.Name), "gift card") || !g.Found.Emergent || g.Found.Recent != 24 || g.Found.Before != 0 || g.Found.Chance > 1e-3 || g.Found.GrowthLow < 2 || g.Element != schemas.Service {
		t.Errorf("found %+v", g)
	}
	for _, was := range first.Themes {
		now := second.Find(was.ID)
		if now == nil || now.Name != was.Name {
			t.Errorf("%s was %q and is %+v", was.ID, was.Name, now)
		}
		if now != nil && now.Found.Emergent {
			t.Errorf("%s is called emergent: %+v", was.ID, now.Found)
		}
	}
	third := Discover(slices.Concat(texts, chatter(3, 200), planted(3, 20)), second, Options{})
	if again := about(third, "gift card"); len(again) != 1 || again[0].ID != g.ID || again[0].Name != g.Name || again[0].Found.Customers != 44 {
		t.Errorf("a week later %+v, want the same theme, of 44 customers", again)
	}
	known := func(s string) bool { return strings.Contains(s, "parking") || strings.Contains(s, "gift") }
	if b := Discover(texts, nil, Options{Known: known}); len(about(b, "parking")) > 0 || len(about(b, "gift card")) != 1 {
		t.Errorf("what the taxonomy knows is found again, or is left out although it has grown: %+v", b.Themes)
	}
	if n := len(second.Themes) - len(first.Themes); n > 2 {
		t.Errorf("%d themes were added, want the planted one and little else: %+v", n, second.Themes)
	}
	t.Logf("%d themes, then %d: %s %q %v", len(first.Themes), len(second.Themes), g.ID, g.Name, g.Phrases)
}

func TestChineseIsReadByCharacters(t *testing.T) {
	var texts []Text
	for i := range 300 {
		said := []string{"物流很慢，等了一个星期才到。", "衣服质量不错，颜色也好看。", "客服态度很好，谢谢。", "包装完好，孩子很喜欢。"}[i%4]
		texts = append(texts, Text{Customer: fmt.Sprint(i), At: monday.Add(time.Duration(i) * 2 * time.Hour), Text: said, Unhappy: i%4 == 0,
			Mentions: []schemas.Mention{{Element: schemas.Service, Theme: "late-delivery", End: uint32(len(said))}}})
	}
	for i := range 15 {
		said := []string{"结账的时候礼品卡不能用，很生气！", "我的礼品卡余额没了，没人管。", "礼品卡一直被拒绝。"}[i%3]
		texts = append(texts, Text{Customer: fmt.Sprint("g", i), At: monday.Add(23*24*time.Hour + time.Duration(i)*time.Hour), Text: said, Unhappy: true})
	}
	b := Discover(texts, nil, Options{})
	if got := about(b, "礼品卡"); len(got) != 1 || !strings.Contains(got[0].Name, "礼品卡") || !got[0].Found.Emergent {
		t.Fatalf("found %+v of %+v, want one of 礼品卡", got, b.Themes)
	}
	l := schemas.Labels{Score: -0.5}
	const text = "东西好。但是礼品卡用不了！太气人"
	b.Mark(text, &l)
	if len(l.Mentions) != 1 || text[l.Mentions[0].Start:l.Mentions[0].End] != "但是礼品卡用不了" {
		t.Errorf("marked %+v", l.Mentions)
	}
}

func TestTheSameTextsGiveTheSameBook(t *testing.T) {
	texts := slices.Concat(chatter(0, 150), chatter(1, 150), planted(1, 20))
	want := Discover(texts, nil, Options{})
	rng := rand.New(rand.NewPCG(1, 1))
	for range 5 {
		rng.Shuffle(len(texts), func(i, j int) { texts[i], texts[j] = texts[j], texts[i] })
		if got := Discover(texts, nil, Options{}); !reflect.DeepEqual(got.Themes, want.Themes) {
			t.Fatalf("another order of the texts gives %+v, want %+v", got.Themes, want.Themes)
		}
	}
}

// Where nothing grows, nothing is called emergent, whatever the noise.
func TestNoiseIsNotEmergent(t *testing.T) {
	wrong := 0
	for run := range 40 {
		var texts []Text
		for week := range 5 {
			texts = append(texts, chatter(10*run+week, 60)...)
		}
		for _, t := range texts {
			t.Customer = fmt.Sprint(run, t.Customer)
		}
		for i := range texts {
			texts[i].At = monday.Add(texts[i].At.Sub(monday) % (5 * week))
		}
		for _, th := range Discover(texts, nil, Options{}).Themes {
			if th.Found.Emergent {
				wrong++
			}
		}
	}
	if wrong > 2 {
		t.Errorf("%d emergent themes in 40 histories without one, at most 2 are chance", wrong)
	}
}

// Nothing that could tell who a customer is becomes a name, and what few say is no theme.
func TestNamesTellOfNobody(t *testing.T) {
	texts := chatter(0, 200)
	for i := range 12 {
		texts = append(texts, Text{Customer: fmt.Sprint("m", i), At: monday.Add(week), Unhappy: true,
			Text: "Write to anna.smith@example.com or @annasmith or call 0176 1234567, see www.shop-anna.example/x"})
	}
	for range 30 { // one customer, often
		texts = append(texts, Text{Customer: "loud", At: monday.Add(week), Unhappy: true, Text: "purple monkey dishwasher"})
	}
	mask := func(s string) string { return strings.ReplaceAll(s, "1234567", "[number]") }
	for _, th := range Discover(texts, nil, Options{Redact: mask}).Themes {
		for _, secret := range []string{"anna", "smith", "123", "monkey", "shop-anna"} {
			if strings.Contains(strings.ToLower(th.ID+th.Name+strings.Join(th.Phrases, " ")), secret) {
				t.Errorf("%q is in the theme %+v", secret, th)
			}
		}
	}
}

func TestFiguresOfTheFormulas(t *testing.T) {
	for _, c := range []struct {
		claim     string
		got, want float64
	}{
		// By hand: prior 50·10.5/201 = 2.6119; ln(12.6119/137.3881) − ln(2.6119/147.3881) = 1.6451; √(1/12.6119 + 1/2.6119) = 0.6798.
		{"log-odds of 10 of 100 against none of 100", logOdds(10, 100, 0, 100), 2.4199},
		{"equal shares", logOdds(10, 100, 10, 100), 0},
		{"binomial tail: 5 or more of 5 at one half", tail(5, 5, 0.5), 1.0 / 32},
		{"binomial tail: 8 or more of 10 at one half", tail(8, 10, 0.5), 56.0 / 1024},
		{"lower bound of 10 of 10 at equal periods", grow(10, 100, 0, 100).low, math.Pow(0.025, 0.1) / (1 - math.Pow(0.025, 0.1))},
	} {
		if math.Abs(c.got-c.want) > 1e-3*max(1, c.want) {
			t.Errorf("%s: %.5f, want %.5f", c.claim, c.got, c.want)
		}
	}
}

func seeded(id string) bool { return id == "late-delivery" || id == "refund" }

func book() *Book {
	return NewBook(3, []Theme{
		{ID: "found-a", Name: "Gift card", Phrases: []string{"gift card", "礼品卡"}},
		{ID: "found-b", Name: "Gift voucher", Phrases: []string{"gift voucher"}},
	})
}

func TestMarksTextsWithTheirThemes(t *testing.T) {
	service := func(theme string, start, end uint32) schemas.Mention {
		return schemas.Mention{Element: schemas.Service, Theme: theme, Polarity: -0.5, Confidence: 0.8, Start: start, End: end}
	}
	hidden, err := book().Hide("found-a", true, seeded)
	if err != nil {
		t.Fatal(err)
	}
	merged, err := book().Merge("found-b", "found-a", seeded)
	if err != nil {
		t.Fatal(err)
	}
	moved, err := book().Merge("late-delivery", "refund", seeded)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		claim    string
		book     *Book
		text     string
		mentions []schemas.Mention
		want     string
	}{
		{"a phrase makes a mention of its sentence", book(), "Hello. My Gift Cards failed! Bye.", nil, `found-a//-0.25 "My Gift Cards failed"`},
		{"once for each text", book(), "Gift card. Gift card.", nil, `found-a//-0.25 "Gift card"`},
		{"no phrase, no mention", book(), "My gift, card attached.", nil, ``},
		{"the mention beside it gets the theme", book(), "My gift card failed", []schemas.Mention{service("", 0, 10)}, `found-a/service/-0.5 "My gift ca"`},
		{"one that has a theme keeps it", book(), "My gift card failed", []schemas.Mention{service("refund", 0, 10)}, `refund/service/-0.5 "My gift ca" found-a//-0.5 "My gift card failed"`},
		{"a mention elsewhere is left alone", book(), "Slow. My gift card failed", []schemas.Mention{service("", 0, 4)}, `/service/-0.5 "Slow" found-a//-0.25 "My gift card failed"`},
		{"a hidden one is not put", hidden, "My gift card failed", nil, ``},
		{"a merged one is put as the other", merged, "My gift voucher failed", nil, `found-a//-0.25 "My gift voucher failed"`},
		{"a seeded one may be merged", moved, "late", []schemas.Mention{service("late-delivery", 0, 4)}, `refund/service/-0.5 "late"`},
	} {
		l := schemas.Labels{Score: -0.25, Mentions: c.mentions}
		for range 2 { // the second time changes nothing
			c.book.Mark(c.text, &l)
			var got []string
			for _, m := range l.Mentions {
				got = append(got, fmt.Sprintf("%s/%s/%v %q", m.Theme, m.Element, m.Polarity, c.text[m.Start:m.End]))
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%s: %s, want %s", c.claim, strings.Join(got, " "), c.want)
			}
		}
	}
}

func TestPeopleDecideOnThemes(t *testing.T) {
	b := book()
	named, err := b.Rename("found-a", "  Cards that\tfail ", seeded)
	if err != nil || named.Version != 4 || named.Find("found-a").Name != "Cards that fail" || !named.Find("found-a").Named || b.Find("found-a").Name != "Gift card" {
		t.Errorf("renamed: %+v, %v", named, err)
	}
	merged, err := b.Merge("found-b", "found-a", seeded)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		claim string
		do    func() (*Book, error)
	}{
		{"an unknown theme has no name", func() (*Book, error) { return b.Rename("x", "y", seeded) }},
		{"a name is not empty", func() (*Book, error) { return b.Rename("found-a", " ", seeded) }},
		{"a name is short", func() (*Book, error) { return b.Rename("found-a", strings.Repeat("x", 121), seeded) }},
		{"nothing is merged into what is not there", func() (*Book, error) { return b.Merge("found-a", "x", seeded) }},
		{"nothing is merged into itself", func() (*Book, error) { return b.Merge("found-a", "found-a", seeded) }},
		{"nothing is merged in a circle", func() (*Book, error) { return merged.Merge("found-a", "found-b", seeded) }},
		{"nothing unknown is hidden", func() (*Book, error) { return b.Hide("x", true, seeded) }},
	} {
		if _, err := c.do(); err == nil {
			t.Errorf("%s: it was done", c.claim)
		}
	}
	// What people decided outlives discovery.
	hidden, err := named.Hide("found-b", true, seeded)
	if err != nil {
		t.Fatal(err)
	}
	var texts []Text
	for i := range 20 {
		texts = append(texts, Text{Customer: fmt.Sprint(i), At: monday, Text: []string{"my gift card failed", "a gift voucher expired"}[i%2], Unhappy: true})
	}
	again := Discover(slices.Concat(texts, chatter(0, 100)), hidden, Options{})
	if got := again.Find("found-a"); got.Name != "Cards that fail" || got.Found.Customers != 10 {
		t.Errorf("found again: %+v", got)
	}
	if got := again.Find("found-b"); !got.Hidden || got.Found.Customers != 10 {
		t.Errorf("hidden and found again: %+v", got)
	}
	if len(again.Themes) != 2 {
		t.Errorf("new themes beside those that were there: %+v", again.Themes)
	}
}

func FuzzMark(f *testing.F) {
	for _, s := range []string{"My gift card failed", "礼品卡a@b.c 礼品卡", "gift\xffcard", "@ www. gift card://"} {
		f.Add(s)
	}
	b := book()
	f.Fuzz(func(t *testing.T, s string) {
		l := schemas.Labels{}
		b.Mark(s, &l)
		for _, m := range l.Mentions {
			if m.Start >= m.End || int(m.End) > len(s) {
				t.Fatalf("span %d–%d of %d bytes", m.Start, m.End, len(s))
			}
		}
		for _, tok := range tokens(s, nil) {
			if tok.start >= tok.end || int(tok.end) > len(s) {
				t.Fatalf("token %+v", tok)
			}
		}
	})
}

func BenchmarkMark(b *testing.B) {
	book, text := book(), "The parcel arrived crushed and nobody answered for three days, then my gift card was declined as well at the till."
	b.ReportAllocs()
	for b.Loop() {
		l := schemas.Labels{}
		book.Mark(text, &l)
	}
}
