// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/wake.go: wake_bench.c in Go.

package main

import (
	"os"
	"sync/atomic"
	"syscall"
)

const (
	wakes  = 500
	restNs = 200 * 1000
	lostNs = 1000 * 1000 * 1000
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

func wake(bell chan byte) (wall, cpu int64, counts bool) {
	here := thread()
	atomic.StoreInt64(&wokenAt, 0)
	spinNs(restNs)
	all := cpuNs()
	mine := clockNs(threadCPUTime)
	start, at := wallNs(), int64(0)
	bell <- 1
	send := clockNs(threadCPUTime) - mine
	for at = 0; at == 0; at = atomic.LoadInt64(&wokenAt) {
		if wallNs()-start > lostNs {
			return
		}
	}
	spinNs(restNs)
	mine = clockNs(threadCPUTime) - mine
	return at - start, cpuNs() - all - mine + send,
		thread() == here && wokenOn != here
}

func main() {
	byWall := len(os.Args) > 1 && os.Args[1] == "wall"
	bell := make(chan byte, 1)
	go sleeper(bell)
	times := []int64{}
	for i := 0; i < wakes; i++ {
		wall, cpu, counts := wake(bell)
		if counts && byWall {
			times = append(times, wall)
		} else if counts {
			times = append(times, cpu)
		}
	}
	if len(times) < wakes/2 {
		report(0, 1, false)
	}
	report(percentile(times, 50), 1, true)
}
