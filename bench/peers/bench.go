// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/bench.go: bench.h for the programs in Go.

package main

import (
	"fmt"
	"os"
	"sort"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

const ( // of clock_gettime
	processCPUTime = 2
	threadCPUTime  = 3
)

func clockNs(clock uintptr) int64 {
	var t syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clock,
		uintptr(unsafe.Pointer(&t)), 0)
	return t.Nano()
}

func cpuNs() int64 { return clockNs(processCPUTime) }

var origin = time.Now()

func wallNs() int64 { return int64(time.Since(origin)) }

func spinNs(ns int64) {
	for end := wallNs() + ns; wallNs() < end; {
	}
}

// Sorts them.
func percentile(times []int64, percent int) int64 {
	sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
	return times[(len(times)*percent+99)/100-1]
}

// The most memory that the process has had, in bytes.
func peakBytes() int64 {
	status, _ := os.ReadFile("/proc/self/status")
	var kb int64
	if _, after, found := strings.Cut(string(status), "VmHWM:"); found {
		fmt.Sscan(after, &kb)
	}
	return kb * 1024
}

// What report does; with the argument "rss" the peak is told instead.
func reportOrPeak(ns int64, operations uint64, ok bool) {
	if peak := peakBytes(); len(os.Args) > 1 && os.Args[1] == "rss" {
		report(peak, 1, ok && peak > 0)
	} else {
		report(ns, operations, ok)
	}
}

func report(ns int64, operations uint64, ok bool) {
	check := "ok"
	if !ok {
		check = "fail"
	}
	fmt.Printf("value=%.3f check=%s\n", float64(ns)/float64(operations), check)
	if !ok {
		os.Exit(1)
	}
}
