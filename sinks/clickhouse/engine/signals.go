package engine

import (
	"runtime"
	"syscall"
	"unsafe"
)

// sigactionSize is room for a struct sigaction on every supported platform:
// 152 bytes with glibc, 16 on Darwin. The bytes are never looked into beyond
// the handler, which both keep first.
const sigactionSize = 256

// guarded runs f on one thread and puts back what the library changes behind
// Go's back while it connects: the handlers of the signals that Go turns into
// panics or uses for preemption, and the thread's signal mask (the library
// blocks SIGPIPE in the thread that opens it, and every thread started from
// there would inherit that).
//
// A handler is written only when it differs, so that a signal.Notify elsewhere
// in the process is not undone.
func (a *abi) guarded(f func() uintptr) uintptr {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	signals := [...]syscall.Signal{
		syscall.SIGSEGV, syscall.SIGABRT, syscall.SIGBUS, syscall.SIGILL,
		syscall.SIGFPE, syscall.SIGTRAP, syscall.SIGSYS, syscall.SIGURG,
	}
	var before [len(signals)][sigactionSize]byte
	for i, s := range signals {
		a.sigaction(int32(s), nil, unsafe.Pointer(&before[i]))
	}
	var mask [sigactionSize]byte
	a.sigmask(sigBlock, nil, unsafe.Pointer(&mask))

	result := f()

	for i, s := range signals {
		var now [sigactionSize]byte
		a.sigaction(int32(s), nil, unsafe.Pointer(&now))
		if [8]byte(now[:8]) != [8]byte(before[i][:8]) {
			a.sigaction(int32(s), unsafe.Pointer(&before[i]), nil)
		}
	}
	a.sigmask(sigSetMask, unsafe.Pointer(&mask), nil)
	return result
}
