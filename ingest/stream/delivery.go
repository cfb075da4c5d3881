package stream

import (
	"strings"
	"time"
)

// delivery is what the reply subject of a consumed message says about it.
type delivery struct {
	seq   uint64    // in the stream
	count uint64    // of the consumer's deliveries, this one included
	time  time.Time // when the stream stored the message, UTC
}

// parseDelivery reads a reply subject of either of JetStream's two forms:
//
//	$JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.<count>.<time>.<pending>
//	$JS.ACK.<domain>.<account>.<stream>.<consumer>.<delivered>.<sequence>.<count>.<time>.<pending>[.<random>]
//
// It is done by hand since it happens once a record.
func parseDelivery(reply string) (delivery, bool) {
	var tokens [13]string
	n := 0
	for rest, more := reply, true; more; n++ {
		if n == len(tokens) {
			return delivery{}, false
		}
		tokens[n], rest, more = strings.Cut(rest, ".")
	}
	if n < 9 || n == 10 || tokens[0] != "$JS" || tokens[1] != "ACK" {
		return delivery{}, false
	}
	at := 5
	if n > 9 {
		at = 7
	}
	seq, ok1 := parseNumber(tokens[at])
	count, ok2 := parseNumber(tokens[at+1])
	nanos, ok3 := parseNumber(tokens[at+2])
	if !ok1 || !ok2 || !ok3 || nanos > 1<<63-1 {
		return delivery{}, false
	}
	return delivery{seq: seq, count: count, time: time.Unix(0, int64(nanos)).UTC()}, true
}

// parseNumber reads a decimal number of at most 19 digits.
func parseNumber(s string) (uint64, bool) {
	if len(s) == 0 || len(s) > 19 {
		return 0, false
	}
	var n uint64
	for i := range len(s) {
		c := s[i] - '0'
		if c > 9 {
			return 0, false
		}
		n = n*10 + uint64(c)
	}
	return n, true
}
