//go:build unix

package engine

import (
	"os"
	"syscall"
)

// tryLock takes the exclusive lock on f without waiting. Closing f lets go.
func tryLock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

// waitLock takes the exclusive lock on f, waiting for whoever has it.
func waitLock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
}
