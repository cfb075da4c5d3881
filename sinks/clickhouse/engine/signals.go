//go:build unix

package engine

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"github.com/ebitengine/purego"
)

// process is how this process's signals are looked at and put back, through the
// C library: Go has no call for either.
type process struct {
	sigaction func(sig int32, act, old unsafe.Pointer) int32
	sigmask   func(how int32, set, old unsafe.Pointer) int32
}

// bind finds the two functions.
func (p *process) bind() error {
	for _, f := range []struct {
		name string
		into any
	}{{"sigaction", &p.sigaction}, {"pthread_sigmask", &p.sigmask}} {
		addr, err := purego.Dlsym(purego.RTLD_DEFAULT, f.name)
		if err != nil {
			return fmt.Errorf("find %s in the C library: %w", f.name, err)
		}
		purego.RegisterFunc(f.into, addr)
	}
	return nil
}

// sigactionSize is room for a struct sigaction and a signal mask on every
// supported platform: 152 and 128 bytes with glibc, 16 and 4 on Darwin. Nothing
// is read but the handler, which both keep first.
const sigactionSize = 256

// guard runs f on one thread and puts back what the library changes behind Go's
// back. While it is loaded it blocks SIGPIPE in the loading thread, which every
// thread and child begun there would inherit. While it connects it would install
// handlers of its own for the signals that Go turns into panics, had it not been
// told otherwise first, and some releases reset them then: a nil dereference
// would end the process.
//
// A handler is written only when it differs, so that a signal.Notify elsewhere
// in the process is not undone.
func (p *process) guard(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	signals := [...]syscall.Signal{
		syscall.SIGSEGV, syscall.SIGABRT, syscall.SIGBUS, syscall.SIGILL,
		syscall.SIGFPE, syscall.SIGTRAP, syscall.SIGSYS, syscall.SIGURG,
	}
	var before [len(signals)][sigactionSize]byte
	for i, s := range signals {
		p.sigaction(int32(s), nil, unsafe.Pointer(&before[i]))
	}
	var mask [sigactionSize]byte
	p.sigmask(sigBlock, nil, unsafe.Pointer(&mask))

	f()

	for i, s := range signals {
		var now [sigactionSize]byte
		p.sigaction(int32(s), nil, unsafe.Pointer(&now))
		if [8]byte(now[:8]) != [8]byte(before[i][:8]) {
			p.sigaction(int32(s), unsafe.Pointer(&before[i]), nil)
		}
	}
	p.sigmask(sigSetMask, unsafe.Pointer(&mask), nil)
}
