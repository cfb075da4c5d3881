// Package keys keeps the API keys of the gateway: who may send, for which tenant, on which channels, and how fast.
//
// A key passes through it like this. [Create] makes a random one, shows it once and keeps only its hash in a file that
// nobody else can read; [Ring.Check] finds a key by its id and compares hashes in constant time; [Revoke] ends one. A ring
// looks at the file again when it has changed, so what an operator does counts within a second, without a restart. What
// is made and ended is written down in a file beside it.
//
// It refuses to know a key: what was shown once cannot be shown again.
package keys

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/earshot/earshot/schemas"
)

// Key is what is kept of a key.
type Key struct {
	ID       string    `json:"id"` // the middle part of the key; no secret
	Name     string    `json:"name"`
	Tenant   string    `json:"tenant"`             // whose events it may send; "": any tenant's
	Channels []string  `json:"channels,omitempty"` // on which it may send; none: all
	Rate     float64   `json:"rate,omitempty"`     // events per second in the long run; 0: no limit of its own
	Hash     string    `json:"sha256"`             // of the whole key, in hex; 160 random bits need no slow hash
	Created  time.Time `json:"created"`
	Revoked  time.Time `json:"revoked,omitzero"`
}

// ErrUnknown says that a key does not exist, is revoked or is no key.
var ErrUnknown = errors.New("the key is not known")

// prefix begins every key, so that scanners for leaked secrets find one.
const prefix = "ek_"

// alphabet is that of lower-case base32 (RFC 4648): 5 bits a letter.
const alphabet = "abcdefghijklmnopqrstuvwxyz234567"

func random(letters int) string {
	b := make([]byte, letters)
	rand.Read(b)
	for i := range b {
		b[i] = alphabet[b[i]%32]
	}
	return string(b)
}

func hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// keyFile is the content of the file.
type keyFile struct {
	Keys []Key `json:"keys"`
}

// Create makes a key with what k says (name, tenant, channels, rate) and returns it together with its text, which is
// kept nowhere.
func Create(path string, k Key, now time.Time) (token string, made Key, err error) {
	if strings.TrimSpace(k.Name) == "" {
		return "", k, errors.New("a key needs a name, by which it is known later")
	}
	for _, c := range k.Channels {
		if !slices.Contains(schemas.Channels(), c) {
			return "", k, fmt.Errorf("there is no channel %q; there are %s", c, strings.Join(schemas.Channels(), ", "))
		}
	}
	if !(k.Rate >= 0) {
		return "", k, fmt.Errorf("the rate is %g, must not be negative", k.Rate)
	}
	k.ID, k.Created, k.Revoked = random(10), now.UTC().Truncate(time.Second), time.Time{}
	token = prefix + k.ID + "_" + random(32)
	k.Hash = hash(token)
	err = change(path, true, func(f *keyFile) error {
		f.Keys = append(f.Keys, k)
		return audit(path, "create", &k, now)
	})
	if err != nil {
		return "", k, fmt.Errorf("create a key in %s: %w", path, err)
	}
	return token, k, nil
}

// Revoke ends the key with the id. One that is revoked already stays as it is.
func Revoke(path, id string, now time.Time) error {
	err := change(path, false, func(f *keyFile) error {
		for i := range f.Keys {
			k := &f.Keys[i]
			if k.ID != id {
				continue
			}
			if k.Revoked.IsZero() {
				k.Revoked = now.UTC().Truncate(time.Second)
			}
			return audit(path, "revoke", k, now)
		}
		return fmt.Errorf("%w: no key has the id %q; 'earshot key list' shows them", ErrUnknown, id)
	})
	if err != nil {
		return fmt.Errorf("revoke a key in %s: %w", path, err)
	}
	return nil
}

// List returns all keys ever made, revoked ones too; none when there is no file.
func List(path string) ([]Key, error) {
	f, err := read(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return f.Keys, nil
}

func read(path string) (*keyFile, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("the keys %s can be read by others (%v): chmod 600 it", path, info.Mode().Perm())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f := &keyFile{}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(f); err != nil {
		return nil, fmt.Errorf("read the keys %s: %w", path, err)
	}
	return f, nil
}

// change rewrites the file in one step, one process at a time.
func change(path string, create bool, edit func(*keyFile) error) error {
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	f, err := read(path)
	if errors.Is(err, os.ErrNotExist) && create {
		f, err = &keyFile{}, nil
	}
	if err != nil {
		return err
	}
	if err := edit(f); err != nil {
		return err
	}
	b, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return err
	}
	next, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = next.Write(append(b, '\n'))
	if err = errors.Join(err, next.Sync(), next.Close()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// AuditFile is where what was done to the keys of a file is written down, one JSON object a line.
func AuditFile(path string) string {
	return strings.TrimSuffix(path, filepath.Ext(path)) + ".audit.ndjson"
}

// audit writes a change down before it is made: an entry too many is better than one too few.
func audit(path, act string, k *Key, now time.Time) error {
	b, err := json.Marshal(map[string]any{"time": now.UTC().Format(time.RFC3339), "act": act, "id": k.ID, "name": k.Name,
		"tenant": k.Tenant, "channels": k.Channels, "rate": k.Rate, "uid": os.Getuid()})
	if err != nil {
		return err
	}
	f, err := os.OpenFile(AuditFile(path), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}

// Ring holds the keys of a file for looking them up. It is safe for concurrent use.
type Ring struct {
	path string

	mu     sync.Mutex
	keys   map[string]Key // by id
	looked time.Time      // when the file was last looked at
	stamp  string         // size and time of the file that was read
}

// Open reads the keys. Without a file there is no ring and no error: nobody has made a key yet.
func Open(path string, now time.Time) (*Ring, error) {
	r := &Ring{path: path}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err := r.load(now); err != nil {
		return nil, err
	}
	return r, nil
}

// again is how often the file is looked at.
const again = time.Second

func (r *Ring) load(now time.Time) error {
	r.looked = now
	info, err := os.Stat(r.path)
	if err != nil {
		return err
	}
	stamp := fmt.Sprint(info.Size(), info.ModTime().UnixNano())
	if stamp == r.stamp {
		return nil
	}
	f, err := read(r.path)
	if err != nil {
		return err
	}
	keys := make(map[string]Key, len(f.Keys))
	for _, k := range f.Keys {
		keys[k.ID] = k
	}
	r.keys, r.stamp = keys, stamp
	return nil
}

// Check returns the key that a text is, or [ErrUnknown]; what is wrong with a key whose id is known the error says besides,
// for the operator and not for whoever sent it. A file that cannot be read any more opens nothing: the error
// says why, and no key counts.
func (r *Ring) Check(token string, now time.Time) (Key, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.looked) >= again || now.Before(r.looked) {
		if err := r.load(now); err != nil {
			r.keys, r.stamp = nil, ""
			return Key{}, fmt.Errorf("%w: %w", ErrUnknown, err)
		}
	}
	rest, _ := strings.CutPrefix(token, prefix)
	id, _, _ := strings.Cut(rest, "_")
	k, known := r.keys[id]
	// An unknown id costs the same comparison as a known one.
	want := k.Hash
	if !known {
		want = strings.Repeat("0", sha256.Size*2)
	}
	same := subtle.ConstantTimeCompare([]byte(hash(token)), []byte(want)) == 1
	switch {
	case !known:
		return Key{}, ErrUnknown
	case !same:
		return Key{}, fmt.Errorf("%w: it has the id of the key %s and another secret", ErrUnknown, id)
	case !k.Revoked.IsZero():
		return Key{}, fmt.Errorf("%w: the key %s was revoked", ErrUnknown, id)
	}
	return k, nil
}
