// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/gcbench.go: gcbench_bench.c in Go.

package main

const (
	stretch  = 18
	long     = 16
	minDepth = 4
	maxDepth = 16
	doubles  = 500000
)

type node struct {
	left, right *node
	i, j        int32
}

func nodes(depth int) uint64 { return 2<<depth - 1 }

func populate(depth int, t *node) {
	if depth <= 0 {
		return
	}
	t.left = new(node)
	t.right = new(node)
	populate(depth-1, t.left)
	populate(depth-1, t.right)
}

func make1(depth int) *node {
	if depth <= 0 {
		return new(node)
	}
	left := make1(depth - 1)
	return &node{left: left, right: make1(depth - 1)}
}

func count(t *node) uint64 {
	if t == nil {
		return 0
	}
	return 1 + count(t.left) + count(t.right)
}

// Along one way down.
func isDeep(t *node, depth int) bool {
	found := 0
	for ; t.left != nil && t.right != nil; found++ {
		if found&1 != 0 {
			t = t.left
		} else {
			t = t.right
		}
	}
	return found == depth
}

func shortLived(depth int, trees uint64) bool {
	ok := true
	for i := uint64(0); i < trees; i++ {
		t := new(node)
		populate(depth, t)
		ok = isDeep(t, depth) && ok
	}
	for i := uint64(0); i < trees; i++ {
		ok = isDeep(make1(depth), depth) && ok
	}
	return ok
}

func main() {
	start := cpuNs()
	ok := isDeep(make1(stretch), stretch)
	longLived := new(node)
	populate(long, longLived)
	array := make([]float64, doubles)
	for i := range array {
		array[i] = 1 / float64(i+1)
	}
	all := nodes(stretch) + nodes(long)
	for depth := minDepth; depth <= maxDepth; depth += 2 {
		trees := 2 * nodes(stretch) / nodes(depth)
		ok = shortLived(depth, trees) && ok
		all += 2 * trees * nodes(depth)
	}
	ok = ok && count(longLived) == nodes(long) && isDeep(longLived, long)
	for i, x := range array {
		ok = ok && x == 1/float64(i+1)
	}
	reportOrPeak(cpuNs()-start, all, ok)
}
