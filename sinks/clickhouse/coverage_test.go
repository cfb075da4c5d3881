package clickhouse_test

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The promise of an interval is kept by simulation: of many samples with a known truth, how many have it inside. The
// textbook's interval for the net promoter score is what is not used, and why (share of promoters, of detractors, answers).
func TestIntervalsCoverWhatTheyPromise(t *testing.T) {
	const samples = 20_000
	rnd := rand.New(rand.NewPCG(1, 9))
	draw := func(p, d float64, n int) (up, down float64) {
		for range n {
			switch u := rnd.Float64(); {
			case u < p:
				up++
			case u < p+d:
				down++
			}
		}
		return up, down
	}
	inside := func(truth, low, high float64) float64 {
		if low <= truth && truth <= high {
			return 1
		}
		return 0
	}
	for _, c := range []struct {
		p, d     float64
		n        int
		least    float64 // of the interval in use
		textbook float64 // about, of the plain one
	}{
		{0.9, 0.02, 10, 0.92, 0.65}, {0.9, 0.02, 30, 0.94, 0.84}, {0.7, 0.05, 10, 0.94, 0.85}, {0.5, 0.2, 10, 0.95, 0.90}, {0.5, 0.2, 30, 0.94, 0.94},
	} {
		var ours, plain float64
		for range samples {
			up, down := draw(c.p, c.d, c.n)
			truth, n := 100*(c.p-c.d), float64(c.n)
			low, high := balanceInterval(up, down, n)
			ours += inside(truth, low, high)
			m := (up - down) / n
			half := 100 * z * math.Sqrt(((up+down)/n-m*m)/n)
			plain += inside(truth, 100*m-half, 100*m+half)
		}
		if ours, plain = ours/samples, plain/samples; ours < c.least || math.Abs(plain-c.textbook) > 0.01 {
			t.Errorf("NPS with p %v, d %v, n %d: covers %.3f, want at least %v; the textbook's covers %.3f, want about %v", c.p, c.d, c.n, ours, c.least, plain, c.textbook)
		}
	}
	// A difference between two periods without a change must be called one in about 5 % of all cases, not more.
	for _, n := range []int{10, 30, 100} {
		var called float64
		for range samples {
			up, down := draw(0.6, 0.15, n)
			oldUp, oldDown := draw(0.6, 0.15, n)
			m, v := adjusted(up, down, float64(n))
			oldM, oldV := adjusted(oldUp, oldDown, float64(n))
			called += 1 - inside(0, m-oldM-z*math.Sqrt(v+oldV), m-oldM+z*math.Sqrt(v+oldV))
		}
		if called /= samples; called > 0.056 {
			t.Errorf("of periods of %d answers without a change, %.3f are called changed", n, called)
		}
	}
	for _, c := range []struct {
		p     float64
		n     int
		least float64 // Wilson covers 95 % on the average over p and dips below for single ones (Brown, Cai, DasGupta 2001)
	}{{0.5, 10, 0.93}, {0.8, 5, 0.93}, {0.9, 10, 0.92}, {0.95, 10, 0.91}, {0.97, 30, 0.93}, {0.8, 100, 0.94}} {
		var ours float64
		for range samples {
			k, _ := draw(c.p, 0, c.n)
			low, high := wilsonInterval(k, float64(c.n))
			ours += inside(100*c.p, low, high)
		}
		if ours /= samples; ours < c.least {
			t.Errorf("a share of %v of %d: covers %.3f, want at least %v", c.p, c.n, ours, c.least)
		}
	}
}

// Published examples, so that the oracle itself is held to somebody else's figures.
func TestOracleKnowsThePublishedExamples(t *testing.T) {
	near := func(what string, got, want, within float64) {
		t.Helper()
		if math.Abs(got-want) > within {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	// Half promoters and a sixth detractors: the variance of one answer is 5/9 (cybaea.net 2016). Three answers are added
	// to so many that they do not matter.
	_, v := adjusted(3e9, 1e9, 6e9)
	near("variance of the NPS", v*6e9, 5.0/9, 1e-6)
	// Newcombe 1998, Statistics in Medicine 17, table I, method 3 (Wilson without correction).
	for _, c := range []struct{ k, n, low, high float64 }{{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {1, 29, 0.0061, 0.1718}} {
		low, high := wilsonInterval(c.k, c.n)
		near("Wilson low", low/100, c.low, 5e-5)
		near("Wilson high", high/100, c.high, 5e-5)
	}
}
