# SPDX-License-Identifier: BSD-3-Clause
#
# The emulators of test/emul, for its tests and test/emul/matrix. In release
# only: a sanitizer has an interposer and an address plan of its own.
if(NOT TUZA_PRESET STREQUAL release OR NOT CMAKE_SYSTEM_NAME STREQUAL Linux)
    return()
endif()

set(emul_root ${PROJECT_SOURCE_DIR}/test/emul)
foreach(name hostile vmalimit rough)
    add_library(emul_${name} MODULE ${emul_root}/${name}.c)
    target_link_libraries(emul_${name} PRIVATE ${CMAKE_DL_LIBS})
    set_target_properties(emul_${name} PROPERTIES OUTPUT_NAME ${name}
        LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/test/emul)
endforeach()

add_executable(emul_probe ${emul_root}/probe.c)
set_target_properties(emul_probe PROPERTIES OUTPUT_NAME probe)
add_executable(emul_lostwake ${emul_root}/lostwake.c)
set_target_properties(emul_lostwake PROPERTIES OUTPUT_NAME lostwake)
set(programs emul_probe emul_lostwake)
if(TARGET tuza_static) # users' programs
    foreach(name parked grow beside)
        add_executable(emul_${name} ${emul_root}/${name}.c)
        target_link_libraries(emul_${name} PRIVATE tuza_static)
        set_target_properties(emul_${name} PROPERTIES OUTPUT_NAME ${name})
        list(APPEND programs emul_${name})
    endforeach()
endif()
add_executable(emul_police ${emul_root}/police.c) # in words of every CPU
set_target_properties(emul_police PROPERTIES OUTPUT_NAME emul-police)
list(APPEND programs emul_police)
if(TUZA_CPU STREQUAL amd64) # regs_amd64.h: one for another CPU is missing yet
    add_executable(emul_kernel ${emul_root}/kernel.c)
    set_target_properties(emul_kernel PROPERTIES OUTPUT_NAME emul-kernel)
    add_executable(emul_stray ${emul_root}/stray.c)
    set_target_properties(emul_stray PROPERTIES OUTPUT_NAME stray)
    add_executable(emul_exstack ${emul_root}/exstack.c)
    target_link_libraries(emul_exstack PRIVATE tuza_internal tuza_objects)
    set_target_properties(emul_exstack PROPERTIES OUTPUT_NAME exstack)
    list(APPEND programs emul_kernel emul_stray emul_exstack)
endif()
set_target_properties(${programs} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/test/emul)
