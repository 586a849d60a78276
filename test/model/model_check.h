// SPDX-License-Identifier: BSD-3-Clause
// test/model/model_check.h: what the tests with the explorer share.
#ifndef TEST_MODEL_CHECK_H
#define TEST_MODEL_CHECK_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "explore.h"

// Explores p; the test fails when something is wrong in an execution, or when
// the search does not come to its end. MODEL_MORE=1 in the environment allows a
// preemption more, which takes long.
static inline void explored(const struct model_program *given)
{
    struct model_program bounds = *given, *p = &bounds;
    const char *more = getenv("MODEL_MORE");
    if (more) {
        p->preemptions += (uint32_t)strtoul(more, NULL, 10);
        p->limit = UINT32_MAX;
    }
    struct model_result r = model_explore(p);
    if (r.failed)
        ck_abort_msg("%s: %s", p->name, r.why);
    printf("%s: %llu executions searched, %llu random, %llu steps\n", p->name,
           (unsigned long long)r.searched, (unsigned long long)r.random,
           (unsigned long long)r.steps);
    fflush(stdout);
    if (!r.complete && !getenv("MODEL_REPLAY"))
        ck_abort_msg("%s: more than %u executions", p->name, p->limit);
}

static inline int model_tests(const char *name, const TTest *const tests[])
{
    Suite *suite = suite_create(name);
    for (size_t i = 0; tests[i]; i++) {
        TCase *tc = tcase_create(tests[i]->name);
        tcase_set_timeout(tc, getenv("MODEL_MORE") ? 36000 : 600);
        tcase_add_test(tc, tests[i]);
        suite_add_tcase(suite, tc);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#endif
