package clickhouse_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/clickhouse"
)

// A row that is read back is the row that was written, whatever of it was filled: every field that has a column comes
// back, and its digest is the same.
func TestRowsAreReadBackAsTheyWereWritten(t *testing.T) {
	s := open(t)
	rnd := rand.New(rand.NewPCG(5, 5))
	rows := generate(4, 300, 1)
	for i := range rows {
		if i%3 > 0 { // a third is what events are like, the others have anything anywhere
			fill(rnd, reflect.ValueOf(&rows[i].Event.Data).Elem(), 1+i%3)
			rows[i].Event.Data.PromiseDue = pick(rnd, "", "2026-12-01T08:00:00Z", "2026-12-01T09:00:00.25Z")
			rows[i].Event.TraceParent = pick(rnd, "", "00-1-2-01")
			rows[i].First = pick(rnd, nil, map[string]string{"ref": "/t#1", "kind": "case.opened"})
		}
		rows[i].Seal(nil)
	}
	insert(t, s, rows)
	got, reached, err := s.Rows(t.Context(), schemas.Range{Epoch: epoch, Generation: 1, Lo: 1, Hi: 300}, 1000, math.MaxInt)
	if err != nil || reached != 300 || len(got) != len(rows) {
		t.Fatalf("%d rows up to %d (%v), want %d up to 300", len(got), reached, err, len(rows))
	}
	for i := range rows {
		want := rows[i]
		want.Event = new(schemas.Event)
		*want.Event = *rows[i].Event
		e, d := want.Event, &want.Event.Data
		e.Type, e.Subject, d.CustomerID = "", "", "" // these have no column: the kind and the customer's key stand for them
		for field, otherwise := range map[*string]string{&d.ActorKind: "customer", &d.Visibility: "public", &d.ScaleDir: "higher_better", &d.PIIState: "raw"} {
			if *field == "" {
				*field = otherwise
			}
		}
		if !reflect.DeepEqual(got[i], want) {
			t.Fatalf("row %d was written as\n%+v\n%+v\nand is read as\n%+v\n%+v", i, want, want.Event, got[i], got[i].Event)
		}
		if got[i].Seal(nil); got[i].Digest != want.Digest {
			t.Fatalf("row %d has another digest when it is sealed again", i)
		}
	}
}

// fill puts something into one of n fields of a struct, on average, and nothing into the others.
func fill(rnd *rand.Rand, v reflect.Value, n int) {
	x, yes := rnd.Float64()*100-50, rnd.IntN(2) == 0
	for i := range v.NumField() {
		f := v.Field(i)
		switch some := rnd.IntN(n) == 0; {
		case !some:
			f.SetZero()
		case f.Kind() == reflect.String:
			f.SetString(fmt.Sprintf("%s ‘%d’ \\ '\"\n\t\x00 配送", v.Type().Field(i).Name, rnd.IntN(5)))
		case f.Type() == reflect.TypeFor[*float64]():
			f.Set(reflect.ValueOf(&x))
		case f.Type() == reflect.TypeFor[*bool]():
			f.Set(reflect.ValueOf(&yes))
		default:
			f.SetBytes([]byte(`{"n":1}`))
		}
	}
}

// However a range is cut, every row is read once and reached never leaves one out; gaps cost nothing.
func TestARangeIsReadInPiecesWithoutLossOrOverlap(t *testing.T) {
	s := open(t)
	var rows []schemas.Row
	for i, r := range generate(4, 200, 1) {
		if i%7 == 0 || i > 50 && i < 150 { // duplicates and dead letters leave gaps
			continue
		}
		rows = append(rows, r)
	}
	insert(t, s, rows)
	for _, c := range []struct {
		claim           string
		most, bytes, hi int
	}{
		{"by rows", 30, math.MaxInt, 200},
		{"one at a time", 1, math.MaxInt, 200},
		{"by bytes", 1000, 9000, 200},
		{"bytes that not even one row has", 1000, 1, 200},
		{"beyond the last row", 64, math.MaxInt, 1 << 40},
		{"short of the last row", 64, math.MaxInt, 170},
	} {
		after, pieces := uint64(0), 0
		var got []uint64
		for after < uint64(c.hi) {
			piece, reached, err := s.Rows(t.Context(), schemas.Range{Epoch: epoch, Generation: 1, Lo: after + 1, Hi: uint64(c.hi)}, c.most, c.bytes)
			if err != nil {
				t.Fatal(err)
			}
			if reached <= after || len(piece) > c.most {
				t.Fatalf("%s: %d rows after %d, reached %d", c.claim, len(piece), after, reached)
			}
			for i := range piece {
				if piece[i].Seq <= after || piece[i].Seq > reached {
					t.Errorf("%s: sequence %d is outside %d–%d", c.claim, piece[i].Seq, after+1, reached)
				}
				got = append(got, piece[i].Seq)
			}
			after = reached
			pieces++
		}
		var want []uint64
		for i := range rows {
			if rows[i].Seq <= uint64(c.hi) {
				want = append(want, rows[i].Seq)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: read %v in %d pieces, want %v", c.claim, got, pieces, want)
		}
	}
}

func TestASampleIsAboutAsLargeAsAskedAndAlwaysTheSame(t *testing.T) {
	s := open(t)
	insert(t, s, generate(4, 2000, 1))
	for n, within := range map[int][2]int{200: {120, 280}, 2000: {2000, 2000}, 1 << 20: {2000, 2000}} {
		a, err := s.Sample(t.Context(), 1, n)
		if err != nil {
			t.Fatal(err)
		}
		if len(a) < within[0] || len(a) > within[1] {
			t.Errorf("a sample of %d has %d rows", n, len(a))
		}
		if b, err := s.Sample(t.Context(), 1, n); err != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("a second sample of %d is another (%v)", n, err)
		}
	}
}

// The record says what is live, whatever becomes of the view.
func TestALostViewComesBackWithTheLiveGeneration(t *testing.T) {
	s := open(t)
	insert(t, s, generate(8, 100, 1))
	second := generate(8, 60, 1)
	for i := range second {
		second[i].Generation = 2
	}
	if err := s.Insert(t.Context(), second, "second"); err != nil {
		t.Fatal(err)
	}
	if err := s.SetLive(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	for claim, statement := range map[string]string{
		"the view is dropped":               "DROP VIEW feedback_current",
		"the switch did not reach the view": "CREATE OR REPLACE VIEW feedback_current AS SELECT * FROM feedback WHERE generation = 1",
	} {
		if err := clickhouse.Exec(t.Context(), s, statement); err != nil {
			t.Fatal(err)
		}
		migrate(t, s)
		if got := text(t, s, "SELECT count() FROM feedback_current"); got != "60\n" {
			t.Errorf("%s: after a migration it shows %s rows, want the 60 of generation 2", claim, got)
		}
	}
	if got := text(t, s, "SELECT generation, state FROM generations ORDER BY change"); got != "1\tretired\n2\tlive\n" {
		t.Errorf("the history is %q", got)
	}
	if err := s.Drop(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if left, err := s.Generations(t.Context()); err != nil || !reflect.DeepEqual(left, []uint32{2}) {
		t.Errorf("after generation 1 was dropped there are %v (%v)", left, err)
	}
}

func TestDeletedRowsAreGoneFromRowsAndProjection(t *testing.T) {
	s := open(t)
	rows := generate(8, 100, 1)
	insert(t, s, rows)
	if err := s.Delete(t.Context(), schemas.Range{Epoch: epoch, Generation: 1, Lo: 11, Hi: 40}); err != nil {
		t.Fatal(err)
	}
	n, digest, err := s.ReadBack(t.Context(), schemas.Range{Epoch: epoch, Generation: 1, Lo: 1, Hi: 100})
	if want := schemas.SumDigests(append(append([]schemas.Row{}, rows[:10]...), rows[40:]...)); err != nil || n != 70 || digest != want {
		t.Errorf("%d rows with digest %d (%v), want 70 with %d", n, digest, err, want)
	}
	customers := 0
	for i := range rows {
		if k := rows[i].Event.Data.ActorKind; (i < 10 || i >= 40) && (k == "" || k == "customer") {
			customers++
		}
	}
	if got := text(t, s, "SELECT sum(events) FROM satisfaction_hourly"); got != fmt.Sprintln(customers) {
		t.Errorf("the hourly figures count %s events, want %d", got, customers)
	}
}
