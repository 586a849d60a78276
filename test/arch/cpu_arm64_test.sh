#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only
#
# test/arch/ctx_test.c on arm64.
set -u

s3_05_contexts_on_arm64() {
    bash "${SRC_DIR:-$(dirname "$0")/../..}/test/arch/cpus/run" arm64
}

s3_05_contexts_on_arm64
