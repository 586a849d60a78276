// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/spawn.go: spawn_bench.c in Go.

package main

import "sync"

const (
	batch   = 1000
	batches = 2000
)

var slot [batch]uint32

func child(group *sync.WaitGroup, mine *uint32, number uint32) {
	*mine = number
	group.Done()
}

func run(first, n uint32) bool {
	var group sync.WaitGroup
	ok := true
	for b := first; b < first+n; b++ {
		group.Add(batch)
		for i := range slot {
			go child(&group, &slot[i], b)
		}
		group.Wait()
		for i := range slot {
			ok = ok && slot[i] == b
		}
	}
	return ok
}

func main() {
	ok := run(1, 100)
	start := cpuNs()
	ok = run(101, batches) && ok
	report(cpuNs()-start, batch*batches, ok)
}
