// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/skynet.go: skynet_bench.c in Go.

package main

import "os"

const (
	children   = 10
	leaves     = 1000000
	goroutines = 1111111
)

func node(up chan int64, first, leaves int64) {
	if leaves == 1 {
		up <- first
		return
	}
	sums := make(chan int64)
	each, sum := leaves/children, int64(0)
	for i := int64(0); i < children; i++ {
		go node(sums, first+i*each, each)
	}
	for i := 0; i < children; i++ {
		sum += <-sums
	}
	up <- sum
}

func main() {
	clock := cpuNs
	if len(os.Args) > 1 && os.Args[1] == "wall" {
		clock = wallNs
	}
	top := make(chan int64)
	start := clock()
	go node(top, 0, leaves)
	sum := <-top
	report(clock()-start, goroutines, sum == leaves*(leaves-1)/2)
}
