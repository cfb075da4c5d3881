package alerts

import "math"

// negligible is the share of a sum below which further terms are left out; tails are then exact to ten digits.
const negligible = 1e-12

// CountTail is P(X ≥ k) for a count with mean mu and variance mu + dispersion·mu²: negative binomial (Poisson mixed over a
// gamma distribution, in the parametrisation called NB2), Poisson where dispersion is 0.
func CountTail(k int, mu, dispersion float64) float64 {
	switch {
	case k <= 0:
		return 1
	case mu <= 0:
		return 0
	}
	if dispersion < 1e-9 {
		dispersion = 0
	}
	return tail(k, math.MaxInt, mu, countLog(k, mu, dispersion), func(x int) float64 { // P(x+1)/P(x)
		if dispersion == 0 {
			return mu / float64(x+1)
		}
		return mu * (1 + dispersion*float64(x)) / (1 + dispersion*mu) / float64(x+1)
	})
}

// countBelow is P(X ≤ k) for a count with mean mu, Poisson.
func countBelow(k int, mu float64) float64 {
	if mu <= 0 {
		return 1
	}
	return 1 - CountTail(k+1, mu, 0)
}

// countLog is the logarithm of the probability of exactly k.
func countLog(k int, mu, dispersion float64) float64 {
	x := float64(k)
	if dispersion == 0 {
		return x*math.Log(mu) - mu - lgamma(x+1)
	}
	r := 1 / dispersion
	return lgamma(x+r) - lgamma(r) - lgamma(x+1) - r*math.Log1p(mu/r) + x*math.Log(mu/(r+mu))
}

// ShareTail is P(X ≥ k) of n draws whose probability p is itself uncertain: beta-binomial with mean p and correlation rho
// between two draws (0 < rho < 1), binomial where rho is 0.
func ShareTail(k, n int, p, rho float64) float64 {
	switch {
	case k <= 0:
		return 1
	case k > n || p <= 0:
		return 0
	case p >= 1:
		return 1
	}
	if rho < 1e-9 {
		x := float64(k)
		first := lgamma(float64(n)+1) - lgamma(x+1) - lgamma(float64(n-k)+1) + x*math.Log(p) + float64(n-k)*math.Log1p(-p)
		return tail(k, n, float64(n)*p, first, func(x int) float64 { return float64(n-x) / float64(x+1) * p / (1 - p) })
	}
	s := 1/rho - 1
	a, b := p*s, (1-p)*s
	x, m := float64(k), float64(n)
	first := lgamma(m+1) - lgamma(x+1) - lgamma(m-x+1) + lgamma(x+a) + lgamma(m-x+b) - lgamma(m+s) + lgamma(s) - lgamma(a) - lgamma(b)
	return tail(k, n, m*p, first, func(x int) float64 {
		return float64(n-x) / float64(x+1) * (a + float64(x)) / (b + float64(n-x) - 1)
	})
}

// tail sums probabilities from k up to last, where first is the logarithm of the one at k and ratio leads from one to the
// next. Below the mean the terms still grow, which changes nothing but how many there are.
func tail(k, last int, mean, first float64, ratio func(x int) float64) float64 {
	sum, term := 1.0, 1.0 // in units of the first, so that nothing underflows
	scale := first
	for x := k; x < last; x++ {
		term *= ratio(x)
		sum += term
		if sum > 1e200 {
			scale += math.Log(sum)
			term /= sum
			sum = 1
		}
		if float64(x) > mean && term < negligible*sum {
			break
		}
	}
	return math.Min(1, math.Exp(scale+math.Log(sum)))
}

func lgamma(x float64) float64 {
	v, _ := math.Lgamma(x)
	return v
}
