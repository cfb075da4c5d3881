//go:build !unix

package engine

import (
	"errors"
	"os"
)

// The library is built for Unix alone. What follows lets the rest of the program
// be built elsewhere, where it works with a ClickHouse server.

var errUnsupported = errors.New("the ClickHouse engine library has no build for this system: set EARSHOT_CLICKHOUSE_DSN to a ClickHouse server")

func dlopen(string) (uintptr, error)         { return 0, errUnsupported }
func dlsym(uintptr, string) (uintptr, error) { return 0, errUnsupported }
func tryLock(*os.File) error                 { return errUnsupported }
func waitLock(*os.File) error                { return errUnsupported }

type process struct{}

func (p *process) bind() error    { return nil }
func (p *process) guard(f func()) { f() }
