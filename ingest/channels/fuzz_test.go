package channels

import (
	"net/http"
	"slices"
	"testing"
)

// Every adapter, on every body: events that keep the contract or ErrPayload. The corpora that were found are kept in
// testdata/fuzz.
func FuzzAdapters(f *testing.F) {
	list := samples(f)
	names := Names()
	byName := map[string]sample{}
	for _, s := range list {
		byName[s.channel] = s
		f.Add(uint8(slices.Index(names, s.channel)), s.d.Body)
	}
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		s := byName[names[int(which)%len(names)]]
		events := survives(t, &s, "fuzzed", body)
		again := survives(t, &s, "fuzzed again", body)
		if !sameEvents(events, again) {
			t.Errorf("%s: the same body gave other events", s.channel)
		}
	})
}

// The way in as a whole: whatever is sent to a source without its secret is refused.
func FuzzNothingUnprovenPasses(f *testing.F) {
	names := Names()
	f.Add(uint8(0), "X-Hub-Signature", "sha1=00", "https://a.example/?token=x", []byte("{}"))
	f.Add(uint8(9), "Authorization", "Basic OnB3", "", []byte("timestamp=1795428000&token=a&signature=b"))
	f.Fuzz(func(t *testing.T, which uint8, header, value, url string, body []byte) {
		name := names[int(which)%len(names)]
		h, err := NewHooks([]Source{{Channel: name, Name: "a", Tenant: "t", Secrets: secrets("whsec_d3JvbmcgbG9uZyBzZWNyZXQ="), Mapping: &Mapping{}}})
		if err != nil {
			t.Fatal(err)
		}
		r := &Request{Method: http.MethodPost, URL: url, Header: http.Header{http.CanonicalHeaderKey(header): {value}}, Body: body}
		if got, err := h.Receive(name, "a", r, received); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	})
}
