// SPDX-License-Identifier: BSD-3-Clause
// base/cpu.h: picks the headers that are written once per CPU.
//
// The build defines TZ_CPU as the CPU's name in file names (amd64, …).
#ifndef TZ_BASE_CPU_H
#define TZ_BASE_CPU_H

#ifndef TZ_CPU
#error "the build defines TZ_CPU, such as -DTZ_CPU=amd64"
#endif

#define TZ_STRING_(...) #__VA_ARGS__
#define TZ_STRING(...) TZ_STRING_(__VA_ARGS__)
#define TZ_PASTE_(a, b) a##b
#define TZ_PASTE(a, b) TZ_PASTE_(a, b)
// #include TZ_CPU_HEADER(base,cpu_) is "base/cpu_amd64.h" on amd64.
#define TZ_CPU_HEADER(room, stem) TZ_STRING(room/TZ_PASTE(stem, TZ_CPU).h)

// No blank after the comma: it would become part of the name.
#include TZ_CPU_HEADER(base,cpu_)

#endif
