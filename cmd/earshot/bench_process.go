package main

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit in which Linux counts processor time in /proc (USER_HZ, 100 a second on every platform Go runs on).
const tick = 10 * time.Millisecond

// consumption is what /proc says at one moment. Where there is no /proc all of it stays 0 and is printed as unknown.
type consumption struct {
	busy  time.Duration // of all processors, since the machine started
	idle  time.Duration
	self  time.Duration // of this process
	child time.Duration // of the contender
}

// readConsumption reads what is used now. child is a contender's process, 0: none is running.
func readConsumption(child int) consumption {
	u := consumption{self: processTime("self"), child: processTime(strconv.Itoa(child))}
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return u
	}
	first, _, _ := strings.Cut(string(text), "\n")
	// cpu user nice system idle iowait irq softirq steal guest guest_nice; the last two are part of the first two
	for i, f := range strings.Fields(first) {
		n, err := strconv.ParseInt(f, 10, 64)
		switch {
		case err != nil || i > 8:
		case i == 4 || i == 5:
			u.idle += time.Duration(n) * tick
		default:
			u.busy += time.Duration(n) * tick
		}
	}
	return u
}

// foreign is which part of the machine others took since an earlier reading, 0 … 1.
func (u consumption) foreign(earlier consumption) float64 {
	busy := u.busy - earlier.busy
	total := busy + u.idle - earlier.idle
	if total <= 0 {
		return 0
	}
	own := u.self - earlier.self + u.child - earlier.child
	return max(0, float64(busy-own)/float64(total))
}

// processTime is what a process has used of the processors, all its threads together.
func processTime(pid string) time.Duration {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0
	}
	// The second field is the program's name, which may hold anything; utime and stime are the fields 14 and 15.
	f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * tick
}

// peakMemory is the most memory a process has had resident, in bytes. The rusage of a child would not do: Linux starts
// it from its parent's.
func peakMemory(pid int) int64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}
