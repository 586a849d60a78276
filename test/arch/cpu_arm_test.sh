#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only
#
# test/arch/ctx_test.c on arm.
set -u

s3_05_contexts_on_arm() {
    bash "${SRC_DIR:-$(dirname "$0")/../..}/test/arch/cpus/run" arm
}

s3_05_contexts_on_arm
