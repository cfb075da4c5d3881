package schemas

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// TestIdentityNeverChanges holds values that are in people's tables: they may not change, ever.
func TestIdentityNeverChanges(t *testing.T) {
	for _, c := range []struct{ tenant, source, id, want string }{
		{"acme", "/zendesk/acme", "98123", "6627c863-181c-8bd0-b15c-1d6a9b5f4f88"},
		{"default", "/v1/feedback", "1", "a22ec946-f846-8462-953b-64980a2d73fc"},
		{"", "", "", "c82d963b-7951-8e7a-a935-6c0ecaad3b9e"},
		{"größe", "urn:x", "\n", "0d9a689a-3ce7-896f-a420-ff8be19a9974"},
	} {
		if got := Identify(c.tenant, c.source, c.id).String(); got != c.want {
			t.Errorf("%q is %s, was %s", []string{c.tenant, c.source, c.id}, got, c.want)
		}
	}
	for _, c := range []struct{ tenant, name, want string }{
		{"acme", "c_7f3a", "a3d6eb25223025a4"},
		{"", "", "6e340b9cffb37a98"},
	} {
		if got := KeyToken(c.tenant, c.name); got != c.want {
			t.Errorf("the key of %q is %s, was %s", c.name, got, c.want)
		}
	}
}

func TestDifferentTriplesHaveDifferentIdentities(t *testing.T) {
	seen := map[EventID][3]string{}
	parts := []string{"", "a", "b", "ab", "a\x00", "\x00a", "\x00\x00\x00\x01a"}
	for _, tenant := range parts {
		for _, source := range parts {
			for _, id := range parts {
				triple := [3]string{tenant, source, id}
				e := Identify(tenant, source, id)
				if other, ok := seen[e]; ok {
					t.Fatalf("%q and %q are the same", triple, other)
				}
				seen[e] = triple
				if e[6]>>4 != 8 || e[8]>>6 != 2 {
					t.Fatalf("%s is not a UUID of version 8", e)
				}
			}
		}
	}
}

func TestEventsOfOneCustomerMeetInOneShard(t *testing.T) {
	data := Data{CaseID: "k", ConversationID: "t"}
	for _, c := range []struct {
		claim string
		e     Event
		key   string
	}{
		{"the customer", Event{Tenant: "a", Subject: "s", Correlation: "r", Data: Data{CustomerID: "c", CaseID: "k"}}, KeyToken("a", "c")},
		{"the pseudonym", Event{Tenant: "a", Subject: "s", Correlation: "r", Data: data}, KeyToken("a", "s")},
		{"the case", Event{Tenant: "a", Correlation: "r", Data: data}, KeyToken("a", "k")},
		{"the conversation", Event{Tenant: "a", Correlation: "r", Data: Data{ConversationID: "t"}}, KeyToken("a", "t")},
		{"the correlation", Event{Tenant: "a", Correlation: "r"}, KeyToken("a", "r")},
		{"the event itself", Event{Tenant: "a", Source: "/s", ID: "1"}, KeyToken("a", "/s\x001")},
	} {
		if got := c.e.PartitionKey(); got != c.key {
			t.Errorf("%s: %s, want %s", c.claim, got, c.key)
		}
	}
	if KeyToken("a", "c") == KeyToken("b", "c") {
		t.Error("two tenants' customers of one name have one key")
	}
}

// TestShardIsWhatTheServersPartitionComputes compares with the subject mapping of nats-server itself.
func TestShardIsWhatTheServersPartitionComputes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, shards := range []int{1, 2, 3, 16, 100} {
		for i, m := range Mappings(shards) {
			tr, err := server.NewSubjectTransform(m.From, m.To)
			if err != nil {
				t.Fatalf("%s -> %s: %v", m.From, m.To, err)
			}
			kind := []string{"k", "feedback.received", "customer.erase.requested"}[i]
			for range 200 {
				key := KeyToken("acme", fmt.Sprint(r.Uint64()))
				want := fmt.Sprintf("feedback.%d.acme.web.%s", Shard(key, shards), kind)
				if got, err := tr.Match("feedback.in.acme.web." + kind + "." + key); err != nil || got != want {
					t.Fatalf("the server says %s (%v), we say %s", got, err, want)
				}
			}
		}
	}
}

func TestToken(t *testing.T) {
	long := ""
	for range 101 {
		long += "x"
	}
	for in, want := range map[string]string{
		"acme": "acme", "": "%", "a.b": "a%2Eb", "*": "%2A", ">": "%3E", " ": "%20", "%": "%25", "ü": "%C3%BC", "a-b_C9": "a-b_C9",
		"\x00": "%00", long[:100]: long[:100], long: "%" + KeyToken("token", long),
	} {
		if got := Token(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}
