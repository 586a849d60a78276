#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only
#
# test/arch/ctx_test.c on riscv64.
set -u

s3_05_contexts_on_riscv64() {
    bash "${SRC_DIR:-$(dirname "$0")/../..}/test/arch/cpus/run" riscv64
}

s3_05_contexts_on_riscv64
