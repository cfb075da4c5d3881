package main

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// Nothing that a node writes can be read by anybody else, also where the folder was there before and is open, and whatever
// the umask of whoever started it.
func TestNobodyElseCanReadWhatIsWritten(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := output(t, earshot(t, dir, "key", "create", "--name", "x", "--tenant", "acme")); code != exitOK {
		t.Fatal(stderr)
	}
	if err := os.Remove(filepath.Join(dir, keysFile)); err != nil { // the node is to take what has no key
		t.Fatal(err)
	}
	cmd := earshot(t, dir, "up")
	cmd.Args = append([]string{"sh", "-c", `umask 0; exec "$0" "$@"`}, cmd.Args...)
	cmd.Path = "/bin/sh"
	up := beginUp(t, cmd)
	if !up.ready() {
		t.Fatal(up.log)
	}
	if code, answer, err := post(up.Gateway+"/v1/events", "application/cloudevents+json", []byte(event("1", "Late again"))); err != nil || code != http.StatusAccepted {
		t.Fatalf("%d %s %v", code, answer, err)
	}
	if b := reconciled(t, dir); b.Stored != 1 {
		t.Errorf("reconcile says %+v", b)
	}
	up.stop()
	seen := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		seen++
		if open := info.Mode().Perm() & 0o077; open != 0 && info.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("%s has the mode %v", path, info.Mode())
		}
		return nil
	})
	if err != nil || seen < 50 {
		t.Errorf("%d files were looked at, %v", seen, err)
	}
	for _, name := range []string{keyFile, ownerFile} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o400 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}
