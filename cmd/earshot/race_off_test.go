//go:build !race

package main

// memoryFactor widens bounds of memory where the race detector keeps a shadow of it; here it does not.
const memoryFactor = 1

// testsAtOnce is how many parallel tests run at the same time where -parallel says nothing. Most of what they do is waiting: with
// as many as there are processors, on two of them, they would come near to go test's ten minutes.
const testsAtOnce = "4"
