# SPDX-License-Identifier: BSD-3-Clause
#
# Tests, found by place and name; test/README.md tells how to write one.
#
#   test/<room>/<name>_test.c   a program with libcheck -> ctest <room>/<name>
#   test/<room>/<name>_test.sh  run by bash             -> ctest <room>/<name>
#   test/<room>/<name>_module.c  a shared object that a test of the room loads
#   test/soak/<name>_soak.c     built, run by `make soak` only
#   test/support/*.c            a library: linked into the C tests that use it
#   tools/<check>               the structural checks   -> ctest house/<check>

find_package(PkgConfig REQUIRED)
pkg_check_modules(CHECK IMPORTED_TARGET check)
if(NOT CHECK_FOUND AND CMAKE_CROSSCOMPILING)
    message(STATUS "no libcheck for this target: no tests")
    return()
elseif(NOT CHECK_FOUND)
    message(FATAL_ERROR "libcheck is missing: run tools/bootstrap, or pass "
                        "-DTUZA_TESTS=OFF")
endif()

# A report of a sanitizer ends the process with a status that no test expects,
# so that a death test cannot take it for the end it is waiting for.
set(environment
    SRC_DIR=${PROJECT_SOURCE_DIR} BUILD_DIR=${PROJECT_BINARY_DIR}
    PRESET=${TUZA_PRESET} CK_DEFAULT_TIMEOUT=30
    ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0:exitcode=99
    UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:exitcode=99
    TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:exitcode=66:atexit_sleep_ms=0
    MSAN_OPTIONS=exitcode=99)
if(TUZA_SANITIZE)
    list(APPEND environment CK_TIMEOUT_MULTIPLIER=4)
endif()
# What counts is repeated less often where each time takes several times as long.
if(TUZA_SANITIZE MATCHES thread)
    list(APPEND environment TEST_SCALE=10)
elseif(TUZA_SANITIZE)
    list(APPEND environment TEST_SCALE=25)
endif()

# Sets OUT to whether FILE, by the `test:` marks in its first five lines, is a
# test in this preset; and MARKS to those lines. A change of the marks must
# configure anew.
function(tuza_test_wanted file out marks)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    file(STRINGS ${file} lines LIMIT_COUNT 5)
    list(FILTER lines INCLUDE REGEX "^(//|#) test: ")
    set(wanted TRUE)
    if(lines MATCHES "no-${TUZA_PRESET}" OR
       (lines MATCHES "release-only" AND NOT TUZA_PRESET STREQUAL release))
        set(wanted FALSE)
    endif()
    set(${out} ${wanted} PARENT_SCOPE)
    set(${marks} "${lines}" PARENT_SCOPE)
endfunction()

function(tuza_test_properties test label marks)
    set(seconds 300)
    if(marks MATCHES "timeout=([0-9]+)")
        set(seconds ${CMAKE_MATCH_1})
    endif()
    set_tests_properties(${test} PROPERTIES LABELS ${label}
        TIMEOUT ${seconds} ENVIRONMENT "${environment}" SKIP_RETURN_CODE 77
        WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    if(marks MATCHES "first") # it takes long: not when all others have ended
        set_tests_properties(${test} PROPERTIES COST 1000)
    endif()
    if(marks MATCHES "serial")
        set_tests_properties(${test} PROPERTIES RUN_SERIAL ON)
    endif()
endfunction()

# LIBRARY is tuza_internal, or tuza_objects for all of the library.
# Those of test/split are split code themselves.
function(tuza_test_program target file output library)
    get_filename_component(name ${file} NAME_WE)
    add_executable(${target} ${file})
    target_include_directories(${target} PRIVATE
        ${PROJECT_SOURCE_DIR}/test ${PROJECT_SOURCE_DIR}/test/support)
    set(split)
    if(output STREQUAL split)
        target_compile_options(${target} PRIVATE -fsplit-stack)
        target_link_options(${target} PRIVATE -fsplit-stack)
        set(split tuza_split)
    endif()
    target_link_libraries(${target} PRIVATE ${split} ${support} tuza_internal
        ${library} PkgConfig::CHECK)
    set_target_properties(${target} PROPERTIES OUTPUT_NAME ${name}
        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/test/${output})
endfunction()

set(test_root ${PROJECT_SOURCE_DIR}/test)
set(support)
file(GLOB support_files CONFIGURE_DEPENDS ${test_root}/support/*.c)
if(support_files)
    add_library(test_support STATIC ${support_files})
    target_include_directories(test_support PRIVATE
        ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include
        ${test_root} ${test_root}/support)
    target_link_libraries(test_support PRIVATE PkgConfig::CHECK)
    set(support test_support)
endif()

file(GLOB test_files CONFIGURE_DEPENDS RELATIVE ${test_root}
     ${test_root}/*/*_test.c ${test_root}/*/*_test.sh)
list(FILTER test_files EXCLUDE REGEX "^model/.*\\.c$") # cmake/model.cmake
foreach(test_file ${test_files})
    string(REGEX MATCH "^([^/]+)/(.+)_test\\.(c|sh)$" matched ${test_file})
    set(label ${CMAKE_MATCH_1})
    set(name ${CMAKE_MATCH_2})
    set(kind ${CMAKE_MATCH_3})
    tuza_test_wanted(${test_root}/${test_file} wanted marks)
    if(NOT wanted OR (label STREQUAL split AND NOT TUZA_SPLIT))
        continue()
    endif()
    if(kind STREQUAL c)
        set(library tuza_objects)
        if(marks MATCHES "parts")
            set(library tuza_internal)
        endif()
        tuza_test_program(test_${label}_${name} ${test_root}/${test_file}
                          ${label} ${library})
        add_test(NAME ${label}/${name} COMMAND test_${label}_${name})
    else()
        add_test(NAME ${label}/${name}
                 COMMAND bash ${test_root}/${test_file})
    endif()
    tuza_test_properties(${label}/${name} ${label} "${marks}")
endforeach()

file(GLOB module_files CONFIGURE_DEPENDS RELATIVE ${test_root}
     ${test_root}/*/*_module.c)
foreach(module_file ${module_files})
    string(REGEX MATCH "^([^/]+)/(.+)\\.c$" matched ${module_file})
    set(module ${CMAKE_MATCH_1}_${CMAKE_MATCH_2})
    add_library(${module} MODULE ${test_root}/${module_file})
    set_target_properties(${module} PROPERTIES
        PREFIX "" OUTPUT_NAME ${CMAKE_MATCH_2}
        LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/test/${CMAKE_MATCH_1})
endforeach()

file(GLOB soak_files CONFIGURE_DEPENDS ${test_root}/soak/*_soak.c)
foreach(soak_file ${soak_files})
    get_filename_component(name ${soak_file} NAME_WE)
    tuza_test_program(soak_${name} ${soak_file} soak tuza_objects)
endforeach()

if(TUZA_PRESET STREQUAL release)
    foreach(check layers oscond sizes exports globals headers citations words)
        add_test(NAME house/${check}
                 COMMAND ${PROJECT_SOURCE_DIR}/tools/${check}
                         ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
        tuza_test_properties(house/${check} house "")
    endforeach()
endif()
