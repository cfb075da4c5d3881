package engine

// How pthread_sigmask is told what to do with a mask, from Darwin signal.h.
const (
	sigBlock   = 1
	sigSetMask = 3
)
