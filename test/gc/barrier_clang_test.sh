#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only
#
# Programs compiled by clang with the flags of `tuza-cflags --barrier`.
compiler=clang
. "$(dirname "$0")/barrier/check.bash"
