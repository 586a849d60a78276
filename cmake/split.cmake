# SPDX-License-Identifier: BSD-3-Clause
#
# libtuza_split.a: what code compiled with -fsplit-stack calls (docs/split.md).
# Linked into every executable or library that has such code, before libtuza.
# Only where the compiler's binary interface is known: amd64 Linux with glibc.
set(TUZA_SPLIT)
if(NOT TUZA_CPU STREQUAL amd64 OR NOT CMAKE_SYSTEM_NAME STREQUAL Linux)
    return()
endif()

file(GLOB split_sources CONFIGURE_DEPENDS
     ${PROJECT_SOURCE_DIR}/src/arch/morestack*.S
     ${PROJECT_SOURCE_DIR}/src/arch/morestack*.c)
set(TUZA_SPLIT tuza_split)
add_library(tuza_split STATIC ${split_sources})
target_compile_options(tuza_split PRIVATE -fvisibility=hidden)
target_include_directories(tuza_split PRIVATE include src)
set_target_properties(tuza_split PROPERTIES POSITION_INDEPENDENT_CODE ON)
