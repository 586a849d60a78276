// SPDX-License-Identifier: BSD-3-Clause
// emul/exstack.c: exstack, memory of the heap that was a goroutine's stack.
#include <stdio.h>
int main(void) { puts("ok"); return 0; }
