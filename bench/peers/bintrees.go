// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/bintrees.go: bintrees_bench.c in Go.

package main

const (
	minDepth = 4
	maxDepth = 17
)

type tree struct{ left, right *tree }

func make1(depth int) *tree {
	t := new(tree)
	if depth > 0 {
		t.left = make1(depth - 1)
		t.right = make1(depth - 1)
	}
	return t
}

func count(t *tree) uint64 {
	if t.left == nil {
		return 1
	}
	return 1 + count(t.left) + count(t.right)
}

func nodes(depth int) uint64 { return 2<<depth - 1 }

func main() {
	start := cpuNs()
	all := nodes(maxDepth+1) + nodes(maxDepth)
	ok := count(make1(maxDepth+1)) == nodes(maxDepth+1)
	longLived := make1(maxDepth)
	for depth := minDepth; depth <= maxDepth; depth += 2 {
		trees := uint64(1) << (maxDepth - depth + minDepth)
		found := uint64(0)
		for i := uint64(0); i < trees; i++ {
			found += count(make1(depth))
		}
		ok = ok && found == trees*nodes(depth)
		all += trees * nodes(depth)
	}
	ok = ok && count(longLived) == nodes(maxDepth)
	reportOrPeak(cpuNs()-start, all, ok)
}
