// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/bench.go: bench.h for the programs in Go.

package main

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

func cpuNs() int64 {
	const processCPUTime = 2 // CLOCK_PROCESS_CPUTIME_ID
	var t syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, processCPUTime,
		uintptr(unsafe.Pointer(&t)), 0)
	return t.Nano()
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
