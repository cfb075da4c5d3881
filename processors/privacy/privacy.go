// Package privacy keeps personal data out of everything that rests in the store.
//
// The worker passes each event through a [Masker] before it is classified: e-mail addresses, telephone numbers, cards,
// accounts and national numbers leave the words, and what is left is classified and stored.
//
// The worker passes each event's customer through a [Keyer]; only the key goes into the row. The key is a keyed hash, so
// whoever reads the table can tell customers apart and count them but cannot find out who they are by hashing guesses.
package privacy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"sync"
)

// MinKeyBytes is the shortest key that is accepted: 128 bits, the security of the hash that is kept.
const MinKeyBytes = 16

// Keyer turns customers into customer keys. It is safe for concurrent use.
//
// It may have several secrets, one for each version. The key of version 1 is made of the customer, that of every later
// version of the key before it. So the keys in a table can be brought to a new version without knowing the customers, who
// stay the customers they were, while whoever has an old secret cannot tell who they are in the new table.
type Keyer struct{ pools []*sync.Pool }

// NewKeyer returns a Keyer with a secret for each version, in order, of at least [MinKeyBytes] bytes each.
func NewKeyer(secrets ...[]byte) (*Keyer, error) {
	k := &Keyer{}
	for i, secret := range secrets {
		if len(secret) < MinKeyBytes {
			return nil, fmt.Errorf("the customer key of version %d has %d bytes, at least %d are needed: make one with 'head -c 32 /dev/urandom'", i+1, len(secret), MinKeyBytes)
		}
		secret = append([]byte(nil), secret...)
		k.pools = append(k.pools, &sync.Pool{New: func() any { return hmac.New(sha256.New, secret) }})
	}
	if len(k.pools) == 0 {
		return nil, errors.New("there is no customer key: make one with 'head -c 32 /dev/urandom'")
	}
	return k, nil
}

// Version is the newest version, from 1.
func (k *Keyer) Version() int { return len(k.pools) }

// Key returns the key of version 1: HMAC-SHA256(secret, len(tenant) tenant customer) cut to 128 bits, in hex; "" for an
// unknown customer.
func (k *Keyer) Key(tenant, customer string) string {
	return k.sum(1, tenant, customer)
}

// KeyAt returns the key of a version; 0 means the first.
func (k *Keyer) KeyAt(version int, tenant, customer string) string {
	key := k.sum(1, tenant, customer)
	return k.Rekey(key, tenant, 1, version)
}

// Rekey brings a key from one version to a later one, each of 0 meaning the first; "" stays "".
func (k *Keyer) Rekey(key, tenant string, from, to int) string {
	for v := max(from, 1) + 1; v <= to; v++ {
		key = k.sum(v, tenant, key)
	}
	return key
}

// Keys returns the customer's keys of all versions.
func (k *Keyer) Keys(tenant, customer string) []string {
	out := make([]string, 0, len(k.pools))
	for v := range k.pools {
		out = append(out, k.KeyAt(v+1, tenant, customer))
	}
	return out
}

// Mark stands for personal data in the name of something, such as [email:91c2…]: the same for the same, so that the name
// goes on telling one thing from another, and nobody can tell from it what it was. It is made with the secret of version 1
// and stays the same under later ones, because what it names would fall apart otherwise. A nil Keyer gives the type alone.
func (k *Keyer) Mark(t Type, tenant, what string) string {
	if k == nil {
		return "[" + string(t) + "]"
	}
	const bytes = 8 // 64 bits, in hex
	return "[" + string(t) + ":" + k.sum(1, tenant, string(t)+"\x00"+what)[:2*bytes] + "]"
}

// sum is the HMAC of a version; "" for "".
func (k *Keyer) sum(version int, tenant, name string) string {
	if name == "" {
		return ""
	}
	pool := k.pools[version-1]
	h := pool.Get().(hash.Hash)
	defer pool.Put(h)
	h.Reset()
	buf := make([]byte, 0, 128)
	buf = append(buf, byte(len(tenant)>>8), byte(len(tenant)))
	buf = append(buf, tenant...)
	buf = append(buf, name...)
	h.Write(buf)
	return hex.EncodeToString(h.Sum(buf[:0])[:16])
}
