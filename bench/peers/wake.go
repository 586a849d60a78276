// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/wake.go: wake_bench.c in Go.

package main

import (
	"os"
	"sync/atomic"
	"syscall"
)

const (
	wakes    = 300
	restNs   = 200 * 1000
	windowNs = 400 * 1000
	lostNs   = 1000 * 1000 * 1000
)

var (
	wokenAt int64 // atomic; 0: not yet
	wokenOn uintptr
)

func thread() uintptr {
	r, _, _ := syscall.RawSyscall(syscall.SYS_GETTID, 0, 0, 0)
	return r
}

func sleeper(bell chan byte) {
	for range bell {
		now := wallNs()
		wokenOn = thread()
		atomic.StoreInt64(&wokenAt, now)
	}
}

func waitWoken(start int64) int64 {
	for {
		if at := atomic.LoadInt64(&wokenAt); at != 0 {
			return at - start
		}
		if wallNs()-start > lostNs {
			return 0
		}
	}
}

func window(bell chan byte, send bool) (wall, cpu int64, counts bool) {
	here := thread()
	atomic.StoreInt64(&wokenAt, 0)
	spinNs(restNs)
	all, sending := cpuNs(), int64(0)
	mine := clockNs(threadCPUTime)
	start := wallNs()
	if send {
		bell <- 1
		sending = clockNs(threadCPUTime) - mine
		wall = waitWoken(start)
	}
	spinNs(start + windowNs - wallNs())
	mine = clockNs(threadCPUTime) - mine
	cpu = cpuNs() - all - mine + sending
	return wall, cpu, thread() == here && (!send || wall != 0 && wokenOn != here)
}

func main() {
	byWall := len(os.Args) > 1 && os.Args[1] == "wall"
	bell := make(chan byte, 1)
	go sleeper(bell)
	times := []int64{}
	for i := 0; i < wakes; i++ {
		_, idle, quiet := window(bell, false)
		wall, cpu, counts := window(bell, true)
		if quiet && counts && byWall {
			times = append(times, wall)
		} else if quiet && counts {
			times = append(times, cpu-idle)
		}
	}
	if len(times) < wakes/2 {
		report(0, 1, false)
	}
	report(percentile(times, 50), 1, true)
}
