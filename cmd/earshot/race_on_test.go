//go:build race

package main

// memoryFactor widens bounds of memory, because the race detector keeps a shadow of it.
const memoryFactor = 10

// testsAtOnce is how many parallel tests run at the same time where -parallel says nothing; empty: as many as processors.
const testsAtOnce = ""
