// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/getppid.go: getppid_bench.c in Go.

package main

import "syscall"

const calls = 600000

func main() {
	parent, _, _ := syscall.RawSyscall(syscall.SYS_GETPPID, 0, 0, 0)
	ok := true
	start := cpuNs()
	for i := 0; i < calls; i++ {
		r, _, _ := syscall.Syscall(syscall.SYS_GETPPID, 0, 0, 0)
		ok = ok && r == parent
	}
	report(cpuNs()-start, calls, ok)
}
