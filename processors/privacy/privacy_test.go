package privacy_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/earshot/earshot/processors/privacy"
)

func keyer(t *testing.T, secret string) *privacy.Keyer {
	t.Helper()
	k, err := privacy.NewKeyer([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKeysTellCustomersApartAndNothingElse(t *testing.T) {
	k, other := keyer(t, "0123456789abcdef"), keyer(t, "fedcba9876543210")
	a := k.Key("acme", "ann@example.com")
	for claim, b := range map[string]string{
		"another customer":           k.Key("acme", "bob@example.com"),
		"another tenant":             k.Key("acmf", "ann@example.com"),
		"a moved boundary":           k.Key("acmea", "nn@example.com"),
		"another secret":             other.Key("acme", "ann@example.com"),
		"an empty customer (no key)": k.Key("acme", ""),
	} {
		if a == b {
			t.Errorf("%s has the same key", claim)
		}
	}
	if a != k.Key("acme", "ann@example.com") {
		t.Error("the same customer has two keys")
	}
	if len(a) != 32 || strings.Contains(a, "ann") {
		t.Errorf("%q is not a 128-bit hash in hex", a)
	}
}

func TestShortSecretIsRefused(t *testing.T) {
	if _, err := privacy.NewKeyer([]byte("short")); err == nil {
		t.Fatal("a secret of 5 bytes was accepted")
	}
}

func TestKeyerIsSafeForConcurrentUse(t *testing.T) {
	k := keyer(t, "0123456789abcdef")
	want := k.Key("t", "c")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				if got := k.Key("t", "c"); got != want {
					t.Errorf("got %s, want %s", got, want)
					return
				}
			}
		})
	}
	wg.Wait()
}
