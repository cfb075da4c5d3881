//go:build race

package main

// memoryFactor widens bounds of memory, because the race detector keeps a shadow of it.
const memoryFactor = 10
