// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/alloc32.go: alloc32_bench.c in Go.

package main

const (
	live    = 1000
	objects = 10000000
)

type object struct {
	self   *object
	number uint64
	rest   [2]uint64
}

var ring [live]*object

func main() {
	ok := true
	start := cpuNs()
	for i := uint64(0); i < objects; i++ {
		at := &ring[i%live]
		if *at != nil {
			ok = ok && (*at).self == *at && (*at).number == i-live
		}
		x := new(object)
		x.self = x
		x.number = i
		*at = x
	}
	report(cpuNs()-start, objects, ok)
}
