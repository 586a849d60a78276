// SPDX-License-Identifier: BSD-3-Clause
// test/os/freebsd/sys/mman.h: a system whose MAP_STACK is memory that grows.
#ifndef TEST_FREEBSD_MMAN_H
#define TEST_FREEBSD_MMAN_H

#define MAP_STACK 0x0400

#endif
