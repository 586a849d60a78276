/* SPDX-License-Identifier: BSD-3-Clause */
/* tuza/run.h: starting and ending the runtime. */
#ifndef TUZA_RUN_H
#define TUZA_RUN_H

#include "tuza/base.h"

TUZA_BEGIN

/* Settings for one process. Zero means the default; a variable of the
 * environment (in brackets) wins over a setting. */
typedef struct tuza_config {
    size_t size;       /* sizeof(tuza_config); TUZA_CONFIG sets it */
    int maxprocs;      /* threads that run goroutines at once [TUZAMAXPROCS]:
                          the processors of this process's affinity mask, or
                          so many as its control groups' quotas of processor
                          time are for, rounded up, when those are fewer */
    int gc_percent;    /* growth, in percent of the live heap, which counts as
                          12 MiB at least and beyond 192 MiB half, that starts
                          a collection [TUZAGC]: 100; -1 is off */
    size_t stack_size; /* bytes of address space of a goroutine's stack, guard
                          zone included (up to 64 KiB of it) [TUZASTACK]:
                          262144. The main goroutine has 8 MiB. Less where
                          the process may map only little. */
    int64_t memory_limit; /* bytes [TUZAMEMLIMIT], see tuza_memory_limit_set:
                             what the control group grants; -1 is none */
    int float_control;    /* TUZA_FLOAT_OWN or TUZA_FLOAT_SHARED */
    int max_taken;     /* so many goroutines, of those that compute for more than
                          10 ms while others wait, run on beside the maxprocs
                          others, on threads that the kernel divides the
                          processors among; the rest keep their turn until they
                          call tuza [TUZADEBUG=taken=N]: 4 x maxprocs, also when
                          that changes; -1 is none: with one P, no other
                          goroutine then runs between a goroutine's calls of
                          tuza, but for those that block */
    int barrier;       /* who says that all stores are told to the collector:
                          TUZA_BARRIER_NOTES, or another of tuza/barrier.h */
} tuza_config;

/* Rounding, unmasked exceptions, flush to zero: what fesetround, feenableexcept
 * and _mm_setcsr change. */
enum {
    TUZA_FLOAT_OWN,   /* each goroutine has its own, the defaults at first */
    TUZA_FLOAT_SHARED /* the program promises to change none while it runs, and
                         switches are faster; what one goroutine changes all
                         the same, others may see */
};

/* Starts the runtime and runs fn(argc, argv) as the first goroutine; returns
 * fn's value when it returns. The other goroutines then stay stopped where
 * they are: not inside libc unless they block there, but with whatever locks
 * of the program they hold. Call it once, on a thread of at least 64 KiB of
 * stack. Signals that the caller has blocked stay blocked in all threads of the
 * runtime, but for SIGURG and SIGSEGV.
 * Errors: -EALREADY on a second call, -EINVAL for settings that cannot be,
 * -ENOMEM, -EAGAIN where the system refuses memory or the first threads. */
TUZA_API int tuza_run(int (*fn)(int argc, char **argv), int argc, char **argv,
                      const tuza_config *config);

/* What TUZA_MAIN's main calls: tuza_run, then exit with the value; a runtime
 * that cannot start prints why and exits with status 2. */
TUZA_API TUZA_NORETURN void tuza_run_main(int (*fn)(int argc, char **argv),
                                          int argc, char **argv,
                                          const tuza_config *config);

/* Settings for TUZA_MAIN, at file scope, in the order of the struct or by
 * name: TUZA_CONFIG(.maxprocs = 2); */
extern const tuza_config tuza_program_config __attribute__((weak));
/* Fields may be left out: a later version may have more. The declaration behind
 * takes the semicolon. */
#define TUZA_CONFIG(...)                                                       \
    _Pragma("GCC diagnostic push")                                             \
    _Pragma("GCC diagnostic ignored \"-Wmissing-field-initializers\"")         \
    const tuza_config tuza_program_config = { sizeof(tuza_config),             \
                                              __VA_ARGS__ };                   \
    _Pragma("GCC diagnostic pop")                                              \
    struct tuza__config_was_set

/* The program's main function: TUZA_MAIN { …; return 0; }, with argc and argv
 * in scope. Its value becomes the exit status; goroutines that still run end
 * with the process. */
#define TUZA_MAIN                                                              \
    static int tuza__main(int argc, char **argv);                              \
    int main(int argc, char **argv)                                            \
    {                                                                          \
        tuza_run_main(tuza__main, argc, argv, &tuza_program_config);           \
    }                                                                          \
    static int tuza__main(__attribute__((unused)) int argc,                    \
                          __attribute__((unused)) char **argv)

/* The version as text, "0.1.0". */
TUZA_API const char *tuza_version(void);

TUZA_END

#endif
