// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/hello.go: hello_bench.c in Go.

package main

import "fmt"

func main() {
	fmt.Println("hello")
}
