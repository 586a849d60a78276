// SPDX-License-Identifier: BSD-3-Clause
// gc/special.h: what is known about an object besides its bytes.
//
// Records in persistent memory, found by the object's address. The collector
// does not look into them by itself; which of their words are roots depends on
// the kind (tz_special_mark).
#ifndef TZ_GC_SPECIAL_H
#define TZ_GC_SPECIAL_H

#include "gc/work.h"

enum tz_special_kind {
    TZ_SPECIAL_FREE,
    // About an object:                  fn, arg                     roots
    TZ_SPECIAL_FINALIZER, //             fn(object)                  none
    TZ_SPECIAL_CLEANUP,   //             fn(arg)                     arg
    TZ_SPECIAL_WEAK,      //             arg: the handle             arg
    TZ_SPECIAL_KEY,       // of an ephemeron, which arg is           none
    TZ_SPECIAL_EPHEMERON, // itself; arg: its key's record           none
    TZ_SPECIAL_PIN,       // arg: how often                          object
    TZ_SPECIAL_HANDLE,    // object: of arg, if it has one           arg
    TZ_SPECIAL_SAMPLE,    // arg: where it was allocated (site.c) none
    TZ_SPECIAL_ROOT,      // [object, arg) is memory of the user's   all of it
    // About none any more, queued or running:
    TZ_SPECIAL_RUN_FINALIZER, //         fn(object)                  object
    TZ_SPECIAL_RUN_CLEANUP,   //         fn(arg)                     arg
    TZ_SPECIAL_STOPPED,       // a cleanup that was stopped while queued
    TZ_SPECIAL_KINDS
};

struct tz_special {
    uintptr_t object; // first byte of what it is about
    uintptr_t arg;
    void (*fn)(void *arg);
    uint32_t next;    // in its bucket, in the free list or in a queue; 0: none
    uint32_t gen;     // how often it was free
    uint8_t kind;     // enum tz_special_kind
};

// All of the following are called with the lock. The collector holds it in a stop,
// so that nothing changes under it.
void tz_special_lock(void);
void tz_special_unlock(void);

// A new record about an object. NULL when memory is refused.
struct tz_special *tz_special_add(uintptr_t object, enum tz_special_kind kind);
// The first of this kind about an object, or NULL.
struct tz_special *tz_special_find(uintptr_t object, enum tz_special_kind kind);
// All about an object: the first, and the one after s; NULL: no more.
struct tz_special *tz_special_first(uintptr_t object);
struct tz_special *tz_special_next(const struct tz_special *s);
// Gives one back that is about an object.
void tz_special_drop(struct tz_special *s);

// It is about no object any more: of this kind from now on, at the end of the
// queue of what is to be run.
void tz_special_queue(struct tz_special *s, enum tz_special_kind kind);
// The first of a queue, or NULL; it is the caller's until tz_special_done.
struct tz_special *tz_special_take(enum tz_special_kind kind);
void tz_special_done(struct tz_special *s);
// One that is queued is not to be run.
void tz_special_stop(struct tz_special *s);

// A number for it, above 0, and back: NULL when that one was given back.
int64_t tz_special_id(const struct tz_special *s);
struct tz_special *tz_special_of(int64_t id);

// Its number, which is free again once it was given back.
uint32_t tz_special_number(const struct tz_special *s);

// Records by number: [1, tz_special_end()), free ones among them.
uint32_t tz_special_end(void);
struct tz_special *tz_special_at(uint32_t i);
// How many there are of a kind.
uint32_t tz_special_count(enum tz_special_kind kind);

// A mark beside the program settles what it can: a record is settled when its word
// that is a root was noted, and nothing is left to decide about it at the mark's end.
// New ones are open, and between an end and the next start all are.
void tz_special_settle_start(void);
void tz_special_settle_end(void);
bool tz_special_settling(void);
void tz_special_settle(uint32_t i);
// The first open one in [i, end), free ones among them; end: none.
uint32_t tz_special_open(uint32_t i, uint32_t end);

// The first ROOT from number i on, or tz_special_end().
uint32_t tz_special_root(uint32_t i);

// All records in jobs as in markroot.h: the first of one, and where it ends.
uint32_t tz_special_jobs(void);
uint32_t tz_special_job(uint32_t job, uint32_t *end);
// While marking: its word that is a root, if it has one.
void tz_special_mark(struct tz_gcwork *w, const struct tz_special *s);

#endif
