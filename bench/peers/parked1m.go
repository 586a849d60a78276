// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/parked1m.go: parked1m_bench.c in Go.

package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
)

const (
	most      = 1000000
	frameSize = 600
	bytesEach = 6144
)

var (
	gate           = make(chan byte)
	started, ended sync.WaitGroup
	intact         uint32
)

func parked(number uint32) {
	var frame [frameSize]byte
	for i := range frame {
		frame[i] = byte(number + uint32(i))
	}
	started.Done()
	<-gate
	same := true
	for i := range frame {
		same = same && frame[i] == byte(number+uint32(i))
	}
	if same {
		atomic.AddUint32(&intact, 1)
	}
	ended.Done()
}

func kbOf(file, name string) (kb uint64) {
	f, err := os.Open(file)
	if err != nil {
		return 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if strings.HasPrefix(s.Text(), name+":") {
			fmt.Sscan(s.Text()[len(name)+1:], &kb)
		}
	}
	return
}

func bytesNow() uint64 {
	return 1024 * (kbOf("/proc/self/status", "VmRSS") +
		kbOf("/proc/self/status", "VmPTE"))
}

func main() {
	n := kbOf("/proc/meminfo", "MemAvailable") * 1024 / 4 * 3 / bytesEach
	if n > most {
		n = most
	}
	n = n / 1000 * 1000
	before := bytesNow()
	start := cpuNs()
	started.Add(int(n))
	ended.Add(int(n))
	for i := uint64(0); i < n; i++ {
		go parked(uint32(i))
	}
	started.Wait()
	ns := float64(cpuNs()-start) / float64(n)
	grown := bytesNow() - before
	close(gate)
	ended.Wait()
	check := "ok"
	if n == 0 || intact != uint32(n) {
		check = "fail"
	}
	fmt.Printf("value=%.1f check=%s n=%d ns=%.0f\n",
		float64(grown)/float64(n), check, n, ns)
	if check != "ok" {
		os.Exit(1)
	}
}
