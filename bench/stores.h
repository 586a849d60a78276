// SPDX-License-Identifier: BSD-3-Clause
// bench/stores.h: how programs here store pointers into what they allocated:
// STORE(p, v) and, where *p holds no pointer yet, FIRST(p, v). Who wants other than
// plain stores has defined them.
#ifndef BENCH_STORES_H
#define BENCH_STORES_H

#ifndef STORE
#define STORE(p, v) (*(p) = (v))
#endif
#ifndef FIRST
#define FIRST(p, v) (*(p) = (v))
#endif

#endif
