// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/pingpong.go: pingpong_bench.c in Go.

package main

const rounds = 1000000

func pong(there, back chan uint64) {
	for v := range there {
		back <- v + 1
	}
	close(back)
}

func main() {
	there, back := make(chan uint64), make(chan uint64)
	go pong(there, back)
	v := uint64(0)
	start := cpuNs()
	for i := 0; i < rounds; i++ {
		there <- v + 1
		v = <-back
	}
	ns := cpuNs() - start
	close(there)
	_, open := <-back
	report(ns, 2*rounds, v == 2*rounds && !open)
}
