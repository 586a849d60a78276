// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/alloc2t.go: alloc2t_bench.c in Go, with GOMAXPROCS goroutines.

package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
)

const (
	live       = 1000
	parts      = 2500
	part       = 4000
	workersMax = 2
)

type object struct {
	self   *object
	number uint64
	rest   [2]uint64
}

type worker struct {
	ring  [live]*object
	tid   uint32
	apart int
	ok    bool
	_     [128]byte
}

var (
	workers [workersMax]worker
	here    int32
)

func (me *worker) sayWhere() {
	tid, _, _ := syscall.RawSyscall(syscall.SYS_GETTID, 0, 0, 0)
	atomic.StoreUint32(&me.tid, uint32(tid))
}

func (me *worker) isApart(count int) bool {
	for i := 0; i < count; i++ {
		tid := atomic.LoadUint32(&workers[i].tid)
		if me != &workers[i] && (tid == 0 || tid == me.tid) {
			return false
		}
	}
	return true
}

func (me *worker) allocate(first, end uint64) bool {
	ok := true
	for i := first; i < end; i++ {
		at := &me.ring[i%live]
		if *at != nil {
			ok = ok && (*at).self == *at && (*at).number == i-live
		}
		x := new(object)
		x.self = x
		x.number = i
		*at = x
	}
	return ok
}

func (me *worker) run(count int) {
	atomic.AddInt32(&here, 1)
	for atomic.LoadInt32(&here) < int32(count) {
		runtime.Gosched()
	}
	me.ok = true
	for i := uint64(0); i < parts; i++ {
		me.sayWhere()
		if me.isApart(count) {
			me.apart++
		}
		me.ok = me.allocate(i*part, (i+1)*part) && me.ok
	}
}

func main() {
	count := runtime.GOMAXPROCS(0)
	var group sync.WaitGroup
	start := cpuNs()
	for i := 0; i < count; i++ {
		group.Add(1)
		go func(me *worker) {
			me.run(count)
			group.Done()
		}(&workers[i])
	}
	group.Wait()
	ns := cpuNs() - start
	ok := true
	for i := 0; i < count; i++ {
		ok = ok && workers[i].ok && workers[i].apart > parts/2
	}
	report(ns, uint64(count)*parts*part, ok)
}
