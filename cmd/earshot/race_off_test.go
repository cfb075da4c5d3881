//go:build !race

package main

// memoryFactor widens bounds of memory where the race detector keeps a shadow of it; here it does not.
const memoryFactor = 1
