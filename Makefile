# SPDX-License-Identifier: BSD-3-Clause
#
# The front door; the build itself is CMake's (CMakeLists.txt).
#
#   make run    install what is missing, build, run the main job
#   make test   all tests: release, debug, asan+ubsan, tsan
#   make bench  the benchmarks against their peers
#   make soak   the long-running programs of test/soak
#   make clean  remove build/

.PHONY: run test bench soak clean
run:
	@tools/bootstrap
	@tools/build release example_wordfreq
	@build/release/examples/wordfreq

test:
	@tools/bootstrap
	@tools/runtests release debug asan tsan

bench:
	@tools/bootstrap bench
	@tools/build release
	@bench/run

soak:
	@tools/bootstrap
	@tools/build release
	@tools/soak

clean:
	rm -rf build
