package classify

import (
	"math"
	"testing"
)

func TestExponentialIsAsGoodAsItSays(t *testing.T) {
	for x := 0.0; x >= lowest; x -= 0.0137 {
		if got, want := exp(x), math.Exp(x); math.Abs(got-want) > 1e-9*want {
			t.Errorf("exp(%v) is %v, want %v", x, got, want)
		}
	}
	if exp(lowest) == 0 || exp(lowest-1) != 0 || exp(0) != 1 {
		t.Errorf("at the ends: %v, %v, %v", exp(lowest), exp(lowest-1), exp(0))
	}
}
