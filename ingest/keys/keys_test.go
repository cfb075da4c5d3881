package keys

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var clock = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func TestAKeyIsShownOnceAndKeptAsAHash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	token, k, err := Create(path, Key{Name: "shop", Tenant: "acme", Channels: []string{"email"}, Rate: 5}, clock)
	if err != nil {
		t.Fatal(err)
	}
	secret := token[strings.LastIndex(token, "_")+1:]
	if len(secret) != 32 || !strings.HasPrefix(token, "ek_"+k.ID+"_") {
		t.Errorf("the key %q", token)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(filepath.Dir(path), e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), secret) {
			t.Errorf("%s holds the secret", e.Name())
		}
		if info, _ := e.Info(); info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s can be read by others", e.Name())
		}
	}
	r, err := Open(path, clock)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.Check(token, clock); err != nil || got.Tenant != "acme" || got.Rate != 5 || got.Channels[0] != "email" {
		t.Errorf("%+v, %v", got, err)
	}
	for i := range token {
		b := []byte(token)
		b[i] ^= 1
		_, err := r.Check(string(b), clock)
		if !errors.Is(err, ErrUnknown) {
			t.Errorf("the key with byte %d changed: %v", i, err)
		} else if wrong := strings.Contains(err.Error(), k.ID); wrong != (i > len("ek_"+k.ID)) && i >= len("ek_") && i != len("ek_"+k.ID) {
			t.Errorf("the operator is told %q of the key with byte %d changed", err, i)
		} else if strings.Contains(err.Error(), secret[:8]) {
			t.Errorf("the error holds the secret: %v", err)
		}
	}
	for _, bad := range []string{"", "ek_", "ek__", token + "a", token[:len(token)-1], "Bearer " + token, k.ID, k.Hash, "ek_" + k.ID + "_"} {
		if _, err := r.Check(bad, clock); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestARevokedKeyEndsWithinASecond(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	token, k, err := Create(path, Key{Name: "a"}, clock)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := Create(path, Key{Name: "b"}, clock)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(path, clock)
	if err != nil {
		t.Fatal(err)
	}
	if err := Revoke(path, k.ID, clock); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Check(token, clock.Add(again)); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), k.ID+" was revoked") {
		t.Errorf("revoked: %v", err)
	}
	if _, err := r.Check(other, clock.Add(again)); err != nil {
		t.Errorf("the other one: %v", err)
	}
	third, _, err := Create(path, Key{Name: "c"}, clock)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Check(third, clock.Add(2*again)); err != nil {
		t.Errorf("a new one: %v", err)
	}
	// A file that is gone, or that others can read, opens nothing.
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	os.Chtimes(path, clock, clock)
	if _, err := r.Check(other, clock.Add(3*again)); !errors.Is(err, ErrUnknown) {
		t.Errorf("with a file that others can read: %v", err)
	}
	os.Remove(path)
	if _, err := r.Check(other, clock.Add(4*again)); !errors.Is(err, ErrUnknown) {
		t.Errorf("without the file: %v", err)
	}
	if b, err := os.ReadFile(AuditFile(path)); err != nil || strings.Count(string(b), "\n") != 4 || strings.Count(string(b), `"act":"revoke"`) != 1 {
		t.Errorf("written down is %s, %v", b, err)
	}
}

func TestManyAtOnceLoseNoKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, _, err := Create(path, Key{Name: "x"}, clock); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if list, err := List(path); err != nil || len(list) != 20 {
		t.Errorf("%d keys, %v", len(list), err)
	}
}

func TestFaultyKeysAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	for _, k := range []Key{{}, {Name: " "}, {Name: "a", Channels: []string{"telex"}}, {Name: "a", Rate: -1}} {
		if _, _, err := Create(path, k, clock); err == nil {
			t.Errorf("%+v was made", k)
		}
	}
	if r, err := Open(path, clock); r != nil || err != nil {
		t.Errorf("without a file: %v, %v", r, err)
	}
	if err := Revoke(path, "x", clock); err == nil {
		t.Error("a key was revoked that is not there")
	}
	if _, err := Open(path, clock); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(path, []byte("{"), 0o600)
	if _, err := Open(path, clock); err == nil {
		t.Error("a broken file was taken")
	}
}
