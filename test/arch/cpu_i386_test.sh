#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only
#
# test/arch/ctx_test.c on i386.
set -u

s3_05_contexts_on_i386() {
    bash "${SRC_DIR:-$(dirname "$0")/../..}/test/arch/cpus/run" i386
}

s3_05_contexts_on_i386
