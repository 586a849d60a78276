// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/graph.go: graph_bench.c in Go. The time for collecting is what
// the runtime says of the CPU time that marking took.
//
// needs go1.20

package main

import (
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
)

const (
	edges     = 3
	nodeBytes = 400
)

type edge struct {
	to           *node
	next, before *edge
}

type node struct {
	block         []uint64
	in            *edge
	out           [edges]edge
	number, words uint64
}

var (
	table []*node
	nodes uint64
	state uint64 = 88172645463325252
	made  uint64
	ok    = true
)

func random(below uint64) uint64 {
	state ^= state >> 12
	state ^= state << 25
	state ^= state >> 27
	return (state * 0x2545f4914f6cdd1d >> 32) * below >> 32
}

func link(e *edge, to *node) {
	e.to = to
	e.before = nil
	e.next = to.in
	if to.in != nil {
		to.in.before = e
	}
	to.in = e
}

func unlink(e *edge) {
	if e.before != nil {
		e.before.next = e.next
	} else {
		e.to.in = e.next
	}
	if e.next != nil {
		e.next.before = e.before
	}
}

func newNode() *node {
	n := new(node)
	n.words = 8 + random(56)
	n.number = made
	made++
	n.block = make([]uint64, n.words)
	n.block[0], n.block[n.words-1] = n.number, n.number
	return n
}

func check(n *node) {
	ok = ok && n.block[0] == n.number && n.block[n.words-1] == n.number
}

func replace(at **node) {
	old, n := *at, newNode()
	check(old)
	for i := range old.out {
		to := old.out[i].to
		unlink(&old.out[i])
		if to == old {
			to = n
		}
		link(&n.out[i], to)
	}
	for old.in != nil {
		e := old.in
		unlink(e)
		link(e, n)
	}
	*at = n
}

func turn(from *node) {
	e := &from.out[random(edges)]
	unlink(e)
	link(e, table[random(nodes)])
}

func operation() {
	slot := random(2 * nodes)
	if slot&1 != 0 {
		replace(&table[slot/2])
	} else {
		turn(table[slot/2])
	}
}

func makeGraph(megabytes uint64) {
	nodes = megabytes * 1024 * 1024 / nodeBytes
	table = make([]*node, nodes)
	for i := range table {
		table[i] = newNode()
	}
	for _, n := range table {
		for j := range n.out {
			link(&n.out[j], table[random(nodes)])
		}
	}
}

func isWhole() bool {
	found := uint64(0)
	for _, n := range table {
		check(n)
		for e := n.in; e != nil; e = e.next {
			ok = ok && e.to == n
			found++
		}
	}
	return ok && found == nodes*edges
}

func worstOf(operations uint64) int64 {
	worst, then := int64(0), clockNs(threadCPUTime)
	for i := uint64(0); i < operations; i++ {
		operation()
		now := clockNs(threadCPUTime)
		worst = max64(worst, now-then)
		then = now
	}
	return worst
}

func max64(a, b int64) int64 {
	if a > b {
		return a
	}
	return b
}

func markingNs() int64 {
	samples := []metrics.Sample{
		{Name: "/cpu/classes/gc/mark/assist:cpu-seconds"},
		{Name: "/cpu/classes/gc/mark/dedicated:cpu-seconds"},
		{Name: "/cpu/classes/gc/mark/idle:cpu-seconds"},
	}
	metrics.Read(samples)
	seconds := 0.0
	for _, s := range samples {
		seconds += s.Value.Float64()
	}
	return int64(seconds * 1e9)
}

func main() {
	runtime.LockOSThread() // for the clock of the thread
	what, megabytes := "cpu", uint64(1024)
	if len(os.Args) > 1 {
		what = os.Args[1]
	}
	if len(os.Args) > 2 {
		megabytes, _ = strconv.ParseUint(os.Args[2], 10, 64)
	}
	start, worst := cpuNs(), int64(0)
	makeGraph(megabytes)
	operations := 3 * nodes
	if what == "worst" {
		worst = worstOf(operations)
	} else {
		for i := uint64(0); i < operations; i++ {
			operation()
		}
	}
	ns, peak, marking := cpuNs()-start, peakBytes(), markingNs()
	whole := isWhole()
	switch what {
	case "worst":
		report(worst, 1, whole)
	case "rss":
		report(peak, 1, whole && peak > 0)
	case "mark":
		report(marking, 1, whole && marking > 0)
	default:
		report(ns, operations, whole)
	}
}
