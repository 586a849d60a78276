# SPDX-License-Identifier: BSD-3-Clause
#
# The explorer of model/ and its tests, test/model/<name>_test.c, which become
# ctest model/<name>. In release only: nothing of what it finds depends on how
# the rest is compiled. model/README.md says what it is.
if(NOT TUZA_PRESET STREQUAL release OR CMAKE_CROSSCOMPILING)
    return()
endif()

# Sources that are explored, of src/: compiled with the door to atomics that
# calls the explorer, and with a call at each plain access.
set(model_sources os/note os/lock os/lockrank sched/runq sched/proc sched/park
    sched/syscall sched/sysmon sched/stw sched/take sched/tied sched/resize sched/m sched/g sched/spawn
    gc/pageq)
list(TRANSFORM model_sources PREPEND ${PROJECT_SOURCE_DIR}/src/)
list(TRANSFORM model_sources APPEND .c)
set(model_includes ${PROJECT_SOURCE_DIR}/model/include
    ${PROJECT_SOURCE_DIR}/model ${PROJECT_SOURCE_DIR}/src
    ${PROJECT_SOURCE_DIR}/include)
# No -Wshadow: an access in the argument of another one, by macros.
set(model_options -O1 -DTZ_DEBUG=1 -DTZ_STRESS -Wno-shadow)

function(model_library name kind)
    add_library(${name} ${kind} ${ARGN})
    target_include_directories(${name} PRIVATE ${model_includes})
    target_compile_options(${name} PRIVATE ${model_options})
endfunction()

model_library(model_explored OBJECT ${model_sources})
target_compile_options(model_explored PRIVATE -fsanitize=thread)
model_library(model_persist OBJECT ${PROJECT_SOURCE_DIR}/src/mem/persist.c)
target_compile_options(model_persist PRIVATE -fsanitize=thread)

set(model_arch ${sources}) # of src/, for this machine
list(FILTER model_arch INCLUDE REGEX "/src/arch/ctx")
file(GLOB model_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/model/*.c)
model_library(model STATIC ${model_files} ${model_arch}
    ${PROJECT_SOURCE_DIR}/src/base/print.c $<TARGET_OBJECTS:model_explored>)

file(GLOB model_tests CONFIGURE_DEPENDS
     ${PROJECT_SOURCE_DIR}/test/model/*_test.c)
foreach(file ${model_tests})
    get_filename_component(name ${file} NAME_WE)
    string(REGEX REPLACE "_test$" "" name ${name})
    add_executable(test_model_${name} ${file})
    if(name STREQUAL persist)
        target_sources(test_model_${name} PRIVATE
            $<TARGET_OBJECTS:model_persist>)
    endif()
    target_include_directories(test_model_${name} PRIVATE ${model_includes}
        ${PROJECT_SOURCE_DIR}/test)
    target_compile_options(test_model_${name} PRIVATE ${model_options})
    target_link_libraries(test_model_${name} PRIVATE model PkgConfig::CHECK)
    set_target_properties(test_model_${name} PROPERTIES
        OUTPUT_NAME ${name}_test
        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/test/model)
    add_test(NAME model/${name} COMMAND test_model_${name})
    tuza_test_wanted(${file} wanted marks)
    tuza_test_properties(model/${name} model "${marks}")
endforeach()
