// Package privacy keeps customers' names out of everything that rests in the store.
//
// The worker passes each event's customer through a [Keyer]; only the key goes into the row. The key is a keyed hash, so
// whoever reads the table can tell customers apart and count them but cannot find out who they are by hashing guesses.
package privacy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"sync"
)

// MinKeyBytes is the shortest key that is accepted: 128 bits, the security of the hash that is kept.
const MinKeyBytes = 16

// Keyer turns customers into customer keys. It is safe for concurrent use.
type Keyer struct{ pool sync.Pool }

// NewKeyer returns a Keyer with a secret of at least [MinKeyBytes] bytes.
func NewKeyer(secret []byte) (*Keyer, error) {
	if len(secret) < MinKeyBytes {
		return nil, fmt.Errorf("the customer key has %d bytes, at least %d are needed: make one with 'head -c 32 /dev/urandom'", len(secret), MinKeyBytes)
	}
	secret = append([]byte(nil), secret...)
	k := &Keyer{}
	k.pool.New = func() any { return hmac.New(sha256.New, secret) }
	return k, nil
}

// Key returns HMAC-SHA256(secret, len(tenant) tenant customer) cut to 128 bits, in hex; "" for an unknown customer.
func (k *Keyer) Key(tenant, customer string) string {
	if customer == "" {
		return ""
	}
	h := k.pool.Get().(hash.Hash)
	defer k.pool.Put(h)
	h.Reset()
	buf := make([]byte, 0, 128)
	buf = append(buf, byte(len(tenant)>>8), byte(len(tenant)))
	buf = append(buf, tenant...)
	buf = append(buf, customer...)
	h.Write(buf)
	return hex.EncodeToString(h.Sum(buf[:0])[:16])
}
