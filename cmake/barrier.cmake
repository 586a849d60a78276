# SPDX-License-Identifier: BSD-3-Clause
#
# libtuza_barrier.a: what code compiled with the flags of `tuza-cflags --barrier`
# calls (docs/barrier.md). Linked into every executable or library that has such
# code, before libtuza. Only where it was tried: Linux with glibc.
set(TUZA_BARRIER)
if(NOT CMAKE_SYSTEM_NAME STREQUAL Linux)
    return()
endif()

set(TUZA_BARRIER tuza_barrier)
add_library(tuza_barrier STATIC ${PROJECT_SOURCE_DIR}/src/gc/compiled_hooks.c
            ${PROJECT_SOURCE_DIR}/src/gc/compiled_mem.c)
target_compile_options(tuza_barrier PRIVATE -fvisibility=hidden -fno-builtin)
if(TUZA_CPU MATCHES "^(amd64|i386)$")
    target_compile_options(tuza_barrier PRIVATE -momit-leaf-frame-pointer)
endif()
target_include_directories(tuza_barrier PRIVATE include src)
target_link_libraries(tuza_barrier PUBLIC ${CMAKE_DL_LIBS})
set_target_properties(tuza_barrier PROPERTIES POSITION_INDEPENDENT_CODE ON)

# What TUZA_BARRIER_FLAGS is for the compiler of this build.
set(barrier_compiler gcc)
if(CMAKE_C_COMPILER_ID MATCHES Clang)
    set(barrier_compiler clang)
endif()
execute_process(
    COMMAND ${PROJECT_SOURCE_DIR}/tools/tuza-cflags --barrier
            ${barrier_compiler}
    OUTPUT_VARIABLE barrier_flags OUTPUT_STRIP_TRAILING_WHITESPACE)
separate_arguments(barrier_flags UNIX_COMMAND "${barrier_flags}")
list(JOIN barrier_flags " " TUZA_BARRIER_CFLAGS)
set(TUZA_BARRIER_FLAGS)
foreach(flag ${barrier_flags}) # no two are alike for CMake, or it drops one
    if(flag MATCHES "^(--param|-mllvm|-include)$")
        set(before "${flag} ")
    else()
        list(APPEND TUZA_BARRIER_FLAGS "SHELL:${before}${flag}")
        set(before)
    endif()
endforeach()
