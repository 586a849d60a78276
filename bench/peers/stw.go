// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/stw.go: stw.c in Go, which counts its stops itself, in classes
// that are a quarter of a power of two wide; between their limits, linearly.
// needs go1.22

package main

import (
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"sync/atomic"
)

const (
	computing = 4
	stops     = 1000
	restNs    = 300 * 1000
)

var counts [computing]struct {
	n   uint64
	pad [56]byte
}

func compute(number int) {
	for {
		atomic.StoreUint64(&counts[number].n, counts[number].n+1)
	}
}

func histogram() *metrics.Float64Histogram {
	sample := []metrics.Sample{{Name: "/sched/pauses/stopping/other:seconds"}}
	metrics.Read(sample)
	return sample[0].Value.Float64Histogram()
}

func progress() (sum uint64) {
	for i := range counts {
		sum += atomic.LoadUint64(&counts[i].n)
	}
	return
}

func main() {
	percent := 50
	if len(os.Args) > 1 {
		percent, _ = strconv.Atoi(os.Args[1])
	}
	for i := 0; i < computing; i++ {
		go compute(i)
	}
	var stats runtime.MemStats
	before, ran := histogram(), progress()
	for i := 0; i < stops; i++ {
		spinNs(restNs)
		runtime.ReadMemStats(&stats)
	}
	after := histogram()
	total, seen := uint64(0), uint64(0)
	for i := range after.Counts {
		after.Counts[i] -= before.Counts[i]
		total += after.Counts[i]
	}
	ok := total >= stops && total < stops+stops/10 && progress() > ran
	for i, n := range after.Counts {
		low, high := after.Buckets[i]*1e9, after.Buckets[i+1]*1e9
		if n > 0 && (seen+n)*100 >= total*uint64(percent) {
			part := (float64(total)*float64(percent)/100 - float64(seen)) /
				float64(n)
			report(int64(low+(high-low)*part), 1, ok)
			return
		}
		seen += n
	}
	report(0, 1, false)
}
