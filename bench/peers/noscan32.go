// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/noscan32.go: noscan32_bench.c in Go.

package main

const (
	live    = 100000
	objects = 20000000
)

var ring [live]*[4]uint64

func main() {
	ok := true
	start := cpuNs()
	for i := uint64(0); i < objects; i++ {
		at := &ring[i%live]
		if old := *at; old != nil {
			ok = ok && old[0] == i-live && old[3] == ^old[0]
		}
		x := new([4]uint64)
		x[0] = i
		x[3] = ^i
		*at = x
	}
	report(cpuNs()-start, objects, ok)
}
