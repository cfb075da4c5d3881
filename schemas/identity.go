package schemas

import (
	"crypto/sha256"
	"encoding/hex"
	"hash/fnv"
)

// EventID names an occurrence for ever: equal for the same tenant, source and id, different otherwise (SHA-256, cut to
// 122 bits). It is laid out as a UUID of version 8 (RFC 9562, section 5.8) so that every tool can read it.
type EventID [16]byte

// String is the usual form of a UUID, such as "7d0c5c1e-4f0a-8b3e-9a52-1f6f6d1c2b3a".
func (id EventID) String() string {
	var b [36]byte
	hex.Encode(b[0:8], id[0:4])
	b[8] = '-'
	hex.Encode(b[9:13], id[4:6])
	b[13] = '-'
	hex.Encode(b[14:18], id[6:8])
	b[18] = '-'
	hex.Encode(b[19:23], id[8:10])
	b[23] = '-'
	hex.Encode(b[24:36], id[10:16])
	return string(b[:])
}

// Identity returns the identity of the event. Tenant, source and id are each preceded by their length, so that no two
// different triples can be read as one another.
func (e *Event) Identity() EventID { return Identify(e.Tenant, e.Source, e.ID) }

// Identify returns the identity of the occurrence that tenant, source and id name.
func Identify(tenant, source, id string) EventID {
	buf := make([]byte, 0, 256)
	buf = append(buf, "earshot/event/1"...)
	for _, s := range [...]string{tenant, source, id} {
		n := len(s)
		buf = append(buf, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
		buf = append(buf, s...)
	}
	sum := sha256.Sum256(buf)
	var out EventID
	copy(out[:], sum[:])
	out[6] = out[6]&0x0f | 0x80
	out[8] = out[8]&0x3f | 0x80
	return out
}

// PartitionKey is what decides the shard: the customer, else the case or conversation, else the event itself. All events
// of one customer therefore meet in one shard, in order, and a re-sent event meets its first copy.
func (e *Event) PartitionKey() string {
	for _, k := range [...]string{e.Customer(), e.Data.CaseID, e.Data.ConversationID, e.Correlation} {
		if k != "" {
			return KeyToken(e.Tenant, k)
		}
	}
	return KeyToken(e.Tenant, e.Source+"\x00"+e.ID)
}

// KeyToken turns any name into the subject token by which events are spread over shards. It is a one-way hash: no
// customer is named in a subject.
func KeyToken(tenant, name string) string {
	sum := sha256.Sum256([]byte(tenant + "\x00" + name))
	return hex.EncodeToString(sum[:8])
}

// Shard places a key token. It is the function that nats-server's subject mapping partition(n, token) computes, FNV-1a
// of the token's bytes modulo n, so that the gateway and the server agree.
func Shard(token string, shards int) int {
	h := fnv.New32a()
	h.Write([]byte(token))
	return int(h.Sum32() % uint32(shards))
}
