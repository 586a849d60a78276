// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/mixed300k.go: mixed300k_bench.c in Go. All words are pointers to
// the collector, as they may be to ours; so the number, which is none, stands
// beside the object, and the last word too points to the object.

package main

import "unsafe"

const (
	slots   = 300000
	objects = 4000000
)

var (
	live   [slots]unsafe.Pointer
	number [slots]uint64
	state  uint64 = 88172645463325252
)

func random() uint64 {
	state ^= state >> 12
	state ^= state << 25
	state ^= state >> 27
	return state * 0x2545f4914f6cdd1d
}

func words(random uint64) uint32 {
	a, b := uint32(random&0xffff), uint32(random>>16&0xffff)
	within, large := uint32(random>>32&0xffff), uint32(random>>48)
	if large*100>>16 == 0 {
		return 128 + within*896>>16
	}
	if b < a {
		a = b
	}
	power := 1 + a*6>>16
	return 1<<power + within<<power>>16
}

func isIntact(slot uint64) bool {
	p := live[slot]
	n := number[slot] & 1023
	x := unsafe.Slice((*unsafe.Pointer)(p), n)
	return x[0] == p && x[n-1] == p && (n == 2 || x[n/2] == nil)
}

func main() {
	ok := true
	sum := uint64(0)
	start := cpuNs()
	for i := uint64(0); i < objects; i++ {
		slot := (random() >> 32) * slots >> 32
		n := words(random())
		if live[slot] != nil {
			sum -= number[slot]
			ok = ok && isIntact(slot)
		}
		x := make([]unsafe.Pointer, n)
		p := unsafe.Pointer(&x[0])
		x[0], x[n-1] = p, p
		live[slot] = p
		number[slot] = i<<10 | uint64(n)
		sum += number[slot]
	}
	for slot := uint64(0); slot < slots; slot++ {
		sum -= number[slot]
	}
	report(cpuNs()-start, objects, ok && sum == 0)
}
