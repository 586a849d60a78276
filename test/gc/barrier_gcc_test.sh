#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only
#
# Programs compiled by gcc with the flags of `tuza-cflags --barrier`.
compiler=gcc
. "$(dirname "$0")/barrier/check.bash"
