// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/syscall_cgo.go: syscall_bench.c in Go, by cgo.

package main

/*
unsigned long calls;

static void empty(void)
{
	__asm__ volatile("" ::: "memory");
	calls++;
}
*/
import "C"

const calls = 5000000

func main() {
	start := cpuNs()
	for i := 0; i < calls; i++ {
		C.empty()
	}
	ns := cpuNs() - start
	report(ns, calls, uint64(C.calls) == calls)
}
