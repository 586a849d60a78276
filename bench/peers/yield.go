// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/yield.go: yield_bench.c in Go.

package main

import (
	"runtime"
	"sync"
)

const yields = 2000000

var turns [2]uint64

func other(group *sync.WaitGroup) {
	for ; turns[1] < yields; turns[1]++ {
		runtime.Gosched()
	}
	group.Done()
}

func main() {
	var group sync.WaitGroup
	group.Add(1)
	go other(&group)
	start := cpuNs()
	for ; turns[0] < yields; turns[0]++ {
		runtime.Gosched()
	}
	ok := turns[1] > yields/2 // by turns, not one after the other
	group.Wait()
	ns := cpuNs() - start
	report(ns, 2*yields, ok && turns[1] == yields)
}
