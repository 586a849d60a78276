// SPDX-License-Identifier: BSD-3-Clause
// test/os/openbsd/sys/mman.h: the numbers of OpenBSD's header of that name.
#ifndef TEST_OPENBSD_MMAN_H
#define TEST_OPENBSD_MMAN_H

#define MAP_PRIVATE 0x0002
#define MAP_FIXED 0x0010
#define MAP_ANON 0x1000
#define MAP_STACK 0x4000
#define MADV_FREE 6

#endif
