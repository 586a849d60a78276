// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/preempt.go: preempt_bench.c in Go.

package main

import (
	"runtime"
	"sync"
	"sync/atomic"
)

const rounds = 11

var (
	end           int32 // atomic; number of the round that is to end
	began, waited int64
)

func compute(number int32, group *sync.WaitGroup) {
	began = wallNs()
	for atomic.LoadInt32(&end) < number {
	}
	group.Done()
}

func waitTurn(number int32, group *sync.WaitGroup) {
	for began == 0 {
		runtime.Gosched()
	}
	waited = -1
	if atomic.LoadInt32(&end) < number {
		waited = wallNs() - began
	}
	atomic.StoreInt32(&end, number)
	group.Done()
}

func main() {
	times := []int64{}
	ok := true
	for i := int32(1); i <= rounds; i++ {
		var group sync.WaitGroup
		began = 0
		group.Add(2)
		go waitTurn(i, &group)
		go compute(i, &group) // the last one spawned is the first to run
		group.Wait()
		ok = ok && waited >= 0
		times = append(times, waited)
	}
	report(percentile(times, 50), 1, ok)
}
