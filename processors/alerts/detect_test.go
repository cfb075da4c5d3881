package alerts

import (
	"math"
	"testing"
	"time"
)

// The expected tails were summed from the definitions with exact or 60-digit arithmetic in another language.
func TestTails(t *testing.T) {
	for _, c := range []struct {
		k          int
		mu, spread float64
		want       float64
	}{
		{5, 0.2, 0, 2.2581905529578205e-06}, {11, 2, 0, 8.308224368484213e-06}, {43, 20, 0, 5.425228495972506e-06},
		{1, 3, 0, 0.950212931632136}, {0, 1, 0, 1}, {1200, 1000, 0, 4.684203855872281e-10}, {3, 0, 0, 0},
		{5, 0.2, 0.1, 5.004296436588067e-06}, {18, 5, 0.5, 0.014390164990056045}, {43, 20, 0.02, 0.00016600387653695984},
		{3, 10, 2, 0.6036450565101363},
	} {
		if got := CountTail(c.k, c.mu, c.spread); math.Abs(got-c.want) > 1e-8*c.want {
			t.Errorf("P(count >= %d | mean %g, dispersion %g) is %g, want %g", c.k, c.mu, c.spread, got, c.want)
		}
	}
	for _, c := range []struct {
		k, n   int
		p, rho float64
		want   float64
	}{
		{5, 5, 0.15, 0, 7.59375e-05}, {8, 10, 0.2, 0.02, 0.0003580403502040032}, {48, 120, 0.2, 1.0 / 61, 0.0029721134792052057},
		{1, 4, 0.25, 1.0 / 3, 0.5078125}, {30, 30, 0.5, 0, 9.313225746154785e-10}, {0, 4, 0.2, 0, 1}, {5, 4, 0.2, 0, 0},
	} {
		if got := ShareTail(c.k, c.n, c.p, c.rho); math.Abs(got-c.want) > 1e-8*c.want {
			t.Errorf("P(share >= %d of %d | %g, rho %g) is %g, want %g", c.k, c.n, c.p, c.rho, got, c.want)
		}
	}
}

// A tail never rises with what was seen and never falls with what was expected.
func FuzzTailsAreMonotone(f *testing.F) {
	f.Add(uint16(5), uint16(20), 0.3, 0.1)
	f.Add(uint16(900), uint16(1000), 0.9, 2.0)
	f.Fuzz(func(t *testing.T, k, n uint16, p, spread float64) {
		if !(p > 0 && p < 1 && spread >= 0 && spread < 3) || k >= n {
			return
		}
		rho := spread / 4
		mu := float64(n) * p
		for _, c := range []struct{ lower, higher float64 }{
			{CountTail(int(k)+1, mu, spread), CountTail(int(k), mu, spread)},
			{CountTail(int(k), mu, spread), CountTail(int(k), mu*1.1, spread)},
			{ShareTail(int(k)+1, int(n), p, rho), ShareTail(int(k), int(n), p, rho)},
		} {
			if math.IsNaN(c.lower) || c.lower < 0 || c.higher > 1 || c.lower > c.higher*(1+1e-6)+1e-12 {
				t.Errorf("k %d, n %d, p %g, spread %g: %g after %g", k, n, p, spread, c.lower, c.higher)
			}
		}
	})
}

// flat is a history of so many hours with the same counts in each.
func flat(hours int, total, negative float64) Series {
	s := Series{Start: simStart}
	for range hours {
		s.Total, s.Negative = append(s.Total, total), append(s.Negative, negative)
	}
	return s
}

func TestNegativeSpikeSaysWhy(t *testing.T) {
	known := Fit(flat(4*HoursOfWeek, 10, 1))
	at := simStart.Add(4 * MinHistory)
	for _, c := range []struct {
		claim           string
		b               *Baseline
		total, negative int
		want            Reason
		level           Level
	}{
		{"a source connected six days ago is a cold start", Fit(flat(6*24, 10, 1)), 50, 50, ColdStart, Calm},
		{"a cell nobody knows is a cold start", nil, 50, 50, ColdStart, Calm},
		{"nothing negative", known, 12, 0, NothingSeen, Calm},
		{"an hour as usual", known, 10, 2, AsUsual, Calm},
		{"four of four are below the floor", known, 4, 4, BelowFloor, Calm},
		{"five times the volume and no worse", known, 60, 6, VolumeOnly, Calm},
		{"ten times the volume and hardly worse", known, 100, 14, VolumeOnly, Calm},
		{"many more negatives and a larger share", known, 30, 20, CountAndShare, Alarm},
		{"the same volume, mostly negative", known, 12, 11, CountAndShare, Alarm},
		{"unusual but short of the line keeps an alert open", known, 10, 8, CountAndShare, Uneasy},
	} {
		v := NegativeSpike(c.b.Usual(at.Add(-time.Hour), at), Reading{From: at.Add(-time.Hour), To: at, Total: c.total, Negative: c.negative}, Floors{5, 1.5}, 1e-6)
		if v.Reason != c.want || v.Level != c.level {
			t.Errorf("%s: %s at level %d (p %.2g, expected %.2g), want %s at %d", c.claim, v.Reason, v.Level, v.Probability, v.Expected, c.want, c.level)
		}
	}
}

func TestBaselineKnowsHoursGapsAndIncidents(t *testing.T) {
	day := flat(4*HoursOfWeek, 0, 0)
	for h := range day.Total {
		if h%24 >= 8 && h%24 < 20 {
			day.Total[h], day.Negative[h] = 20, 2
		}
	}
	hour := func(b *Baseline, h int) *Usual {
		at := simStart.Add(4*MinHistory + time.Duration(h)*time.Hour)
		return b.Usual(at, at.Add(time.Hour))
	}
	usual := Fit(day)
	if noon, night := hour(usual, 12), hour(usual, 2); noon.Total < 15 || night.Total > 3 {
		t.Errorf("noon %.1f and night %.1f customers, want about 20 and almost none", noon.Total, night.Total)
	}
	if usual.Hours != 4*HoursOfWeek {
		t.Errorf("%d hours count, want all: a night is no gap", usual.Hours)
	}
	gap := flat(0, 0, 0)
	gap.Total, gap.Negative = append(gap.Total, day.Total...), append(gap.Negative, day.Negative...)
	for h := range 5 * 24 {
		gap.Total[HoursOfWeek+h], gap.Negative[HoursOfWeek+h] = 0, 0
	}
	with := Fit(gap)
	if with.Hours > 4*HoursOfWeek-4*24 {
		t.Errorf("%d hours count although five days are missing", with.Hours)
	}
	if a, b := hour(usual, 12).Total, hour(with, 12).Total; math.Abs(a-b) > 0.1*a {
		t.Errorf("noon is %.1f with a gap of five days and %.1f without", b, a)
	}
	incident := Series{Start: day.Start, Total: append([]float64(nil), day.Total...), Negative: append([]float64(nil), day.Negative...)}
	for h := range 6 {
		incident.Total[HoursOfWeek+8+h] += 200
		incident.Negative[HoursOfWeek+8+h] += 200
	}
	if a, b := hour(usual, 12).Negative, hour(Fit(incident), 12).Negative; b > 2*a {
		t.Errorf("one incident made %.1f negatives of %.1f the habit", b, a)
	}
	if after := Fit(incident); after.rho.hour > 2*usual.rho.hour || after.rho.block > 2*usual.rho.block {
		t.Errorf("one incident made shares swing by %+v instead of %+v", after.rho, usual.rho)
	}
	if Fit(Series{}).Cold() != true {
		t.Error("no history is not cold")
	}
}

// Values worked out by hand from the published formula.
func TestEscalatingLimit(t *testing.T) {
	steady := make([]float64, HoursOfWeek)
	for i := range steady {
		steady[i] = 4
	}
	for _, c := range []struct {
		claim string
		hours []float64
		want  float64
	}{
		{"steady: the spike limit is six times the mean, the bursty one five", steady, 24},
		{"less than a week: ten times the largest", steady[:100], 40},
		{"nothing ever", make([]float64, HoursOfWeek), 1},
		{"no history", nil, math.Inf(1)},
	} {
		if got := EscalatingLimit(c.hours); got != c.want {
			t.Errorf("%s: %g, want %g", c.claim, got, c.want)
		}
	}
}

func TestRobustZ(t *testing.T) {
	for _, c := range []struct {
		x    float64
		of   []float64
		want float64
	}{{10, []float64{1, 2, 3, 4, 100}, 7 / 1.4826}, {5, []float64{1, 1, 1}, math.Inf(1)}, {1, []float64{1, 1}, 0}, {3, nil, 0}} {
		if got := RobustZ(c.x, c.of); math.Abs(got-c.want) > 1e-9 && got != c.want {
			t.Errorf("%g of %v: %g, want %g", c.x, c.of, got, c.want)
		}
	}
}

func TestAlphaDividesTheBudget(t *testing.T) {
	if a, b := Alpha(1, 100, 3, time.Hour), Alpha(1, 10, 3, time.Hour); math.Abs(10*a-b) > 1e-12 {
		t.Errorf("a tenth of the cells: %g and %g", a, b)
	}
	if a := Alpha(1, 100, 1, time.Hour); math.Abs(a*100*168*looksPerWindow-1) > 1e-9 {
		t.Errorf("looks times alpha is %g alerts a week, want 1", a*100*168*looksPerWindow)
	}
	if a, b := Alpha(1, 1, 3, time.Hour), Alpha(1, 10, 3, time.Hour); a != b {
		t.Errorf("one cell: %g, ten: %g", a, b)
	}
}

// A source that knows the day only brings everything at midnight. The first minute of a day as always is no surge, and a bad
// day among them is found.
func TestTimesThatAreDatesOnly(t *testing.T) {
	s := flat(8*HoursOfWeek, 0, 0)
	for h := 0; h < len(s.Total); h += 24 {
		s.Total[h], s.Negative[h] = 14, 3
		s.Into.Add(14, 0, 0)
	}
	b := Fit(s)
	at := simStart.Add(8*MinHistory + time.Minute)
	for _, window := range []time.Duration{15 * time.Minute, time.Hour, 24 * time.Hour} {
		u := b.Usual(at.Add(-window), at)
		if u.Total < 10 || u.Total > 18 || math.Abs(u.Share-3.0/14) > 0.03 {
			t.Errorf("%v: %.1f customers and a share of %.2f are expected, want about 14 and %.2f", window, u.Total, u.Share, 3.0/14)
		}
		for _, c := range []struct {
			total, negative int
			want            Level
		}{{14, 3, Calm}, {20, 6, Calm}, {70, 15, Calm}, {20, 17, Alarm}} {
			r := Reading{From: at.Add(-window), To: at, Total: c.total, Negative: c.negative}
			if v := NegativeSpike(u, r, Floors{5, 1.5}, Alpha(1, 1, 3, window)); v.Level != c.want {
				t.Errorf("%v: %d of %d is level %d (%s, p %.2g), want %d", window, c.negative, c.total, v.Level, v.Reason, v.Probability, c.want)
			}
		}
		if v := VolumeSpike(u, Reading{From: at.Add(-window), To: at, Total: 20}, Floors{5, 3}, 1e-3); v.Level != Calm {
			t.Errorf("%v: a day as always is a surge (p %.2g, expected %.1f)", window, v.Probability, v.Expected)
		}
	}
	if u := b.Usual(at.Add(time.Hour), at.Add(2*time.Hour)); u.Total <= 0 || u.Total > 2 {
		t.Errorf("between two midnights %.2f customers are expected", u.Total)
	}
}
