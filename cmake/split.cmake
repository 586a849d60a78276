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
add_library(tuza_split_objects OBJECT ${split_sources})
target_compile_options(tuza_split_objects PRIVATE -fvisibility=hidden)
target_include_directories(tuza_split_objects PRIVATE include src)
set_target_properties(tuza_split_objects PROPERTIES
    POSITION_INDEPENDENT_CODE ON)

# One object, so that a program that calls any of it gets all of it.
set(split_merged ${PROJECT_BINARY_DIR}/tuza_split.o)
add_custom_command(OUTPUT ${split_merged}
    COMMAND ${CMAKE_C_COMPILER} ${cflags} -r -nostdlib -o ${split_merged}
            $<TARGET_OBJECTS:tuza_split_objects>
    DEPENDS tuza_split_objects $<TARGET_OBJECTS:tuza_split_objects>
    COMMAND_EXPAND_LISTS VERBATIM)
add_library(tuza_split STATIC ${split_merged})
set_source_files_properties(${split_merged} PROPERTIES
    EXTERNAL_OBJECT ON GENERATED ON)
set_target_properties(tuza_split PROPERTIES LINKER_LANGUAGE C)
