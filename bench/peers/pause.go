// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/pause.go: pause_bench.c in Go. The runtime keeps the last 256
// pauses; a run has fewer.

package main

import (
	"os"
	"runtime"
	"strconv"
)

type object struct {
	other  *object
	number uint64
	rest   [5]uint64
	again  uint64
}

func argument(i int, otherwise uint64) uint64 {
	if len(os.Args) <= i {
		return otherwise
	}
	n, _ := strconv.ParseUint(os.Args[i], 10, 64)
	return n
}

func waitWith(x *object, end chan int) {
	<-end
	runtime.KeepAlive(x)
}

func never(x *object) {
	panic("it lives")
}

func main() {
	percent, megabytes := argument(1, 1), argument(2, 512)
	end := make(chan int)
	for i := uint64(0); i < argument(3, 0); i++ {
		go waitWith(&object{number: i}, end)
	}
	n := megabytes * 1024 * 1024 / 64
	hot, state := n*percent/100, uint64(88172645463325252)
	all := make([]*object, n)
	ok := true
	for i := uint64(0); i < n; i++ {
		all[i] = &object{number: i, again: ^i}
		if i > 0 {
			all[i].other = all[i/2]
		}
	}
	for i := hot; i < n && argument(4, 0) == 1; i++ {
		runtime.SetFinalizer(all[i], never)
	}
	for i := uint64(0); i < n; i++ {
		state = state*6364136223846793005 + 1442695040888963407
		slot := (state >> 32) * hot >> 32
		ok = ok && all[slot].number == slot && all[slot].again == ^slot
		all[slot] = &object{other: all[n-1-slot], number: slot, again: ^slot}
	}
	for i, x := range all {
		ok = ok && x.number == uint64(i) && x.again == ^uint64(i) &&
			(i == 0 || x.other != nil)
	}
	var st runtime.MemStats
	runtime.ReadMemStats(&st)
	longest := uint64(0)
	for _, ns := range st.PauseNs {
		if ns > longest {
			longest = ns
		}
	}
	ok = ok && st.NumGC > 0 && st.NumGC <= uint32(len(st.PauseNs))
	report(int64(longest), 1, ok)
}
