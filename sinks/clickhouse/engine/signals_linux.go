package engine

// How pthread_sigmask is told what to do with a mask, from Linux signal.h.
const (
	sigBlock   = 0
	sigSetMask = 2
)
