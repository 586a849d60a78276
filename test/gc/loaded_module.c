// SPDX-License-Identifier: BSD-3-Clause
// test/gc/loaded_module.c: what loaded_test.c loads: words of each kind.

void *loaded_bss[64];
void *loaded_data[64] = { (void *)1 };
void *loaded_large[8192];
__thread void *loaded_tls[64];
