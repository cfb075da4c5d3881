//go:build unix

package engine

import "github.com/ebitengine/purego"

// dlopen loads a shared library for good.
func dlopen(path string) (uintptr, error) {
	return purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
}

// dlsym finds a function of a loaded library.
func dlsym(library uintptr, name string) (uintptr, error) {
	return purego.Dlsym(library, name)
}
