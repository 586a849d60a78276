# SPDX-License-Identifier: BSD-3-Clause
#
# Examples and benchmarks, found by place and name.

# examples/<name>.c, or all of examples/<name>/*.c -> <build>/examples/<name>.
function(tuza_examples)
    set(root ${PROJECT_SOURCE_DIR}/examples)
    file(GLOB single CONFIGURE_DEPENDS ${root}/*.c)
    file(GLOB several CONFIGURE_DEPENDS ${root}/*/*.c)
    set(dirs)
    foreach(file ${several})
        get_filename_component(dir ${file} DIRECTORY)
        list(APPEND dirs ${dir})
    endforeach()
    list(REMOVE_DUPLICATES dirs)
    foreach(program ${single} ${dirs})
        get_filename_component(name ${program} NAME_WE)
        set(files ${program})
        if(IS_DIRECTORY ${program})
            file(GLOB files CONFIGURE_DEPENDS ${program}/*.c)
        endif()
        add_executable(example_${name} ${files})
        target_link_libraries(example_${name} PRIVATE tuza_example)
        set_target_properties(example_${name} PROPERTIES OUTPUT_NAME ${name}
            RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/examples)
    endforeach()
endfunction()

# bench/<name>_bench.c -> <build>/bench/<name>_bench; bench/run builds peers.
function(tuza_benchmarks)
    file(GLOB files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bench/*_bench.c)
    foreach(file ${files})
        get_filename_component(name ${file} NAME_WE)
        set(split)
        if(name MATCHES "split_bench$") # split code: cmake/split.cmake
            if(NOT TUZA_SPLIT)
                continue()
            endif()
            set(split tuza_split)
        endif()
        add_executable(bench_${name} ${file})
        target_link_libraries(bench_${name} PRIVATE ${split} tuza_example)
        if(split)
            target_compile_options(bench_${name} PRIVATE -fsplit-stack)
            target_link_options(bench_${name} PRIVATE -fsplit-stack)
        endif()
        set_target_properties(bench_${name} PROPERTIES OUTPUT_NAME ${name}
            RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bench)
    endforeach()
    # parked1m as code for thin segments, which needs this linker.
    find_program(TUZA_GOLD ld.gold)
    if(TUZA_SPLIT AND TUZA_GOLD)
        add_executable(bench_parked1m_thin
                       ${PROJECT_SOURCE_DIR}/bench/parked1m_bench.c)
        target_link_libraries(bench_parked1m_thin PRIVATE tuza_split
                              tuza_example)
        target_compile_options(bench_parked1m_thin PRIVATE -fsplit-stack
                               -DTUZA_SPLIT)
        target_link_options(bench_parked1m_thin PRIVATE -fsplit-stack
                            -fuse-ld=gold)
        set_target_properties(bench_parked1m_thin PROPERTIES
            OUTPUT_NAME parked1m_thin_bench
            RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bench)
    endif()
    if(TUZA_BARRIER) # flagbar's programs with the flags: cmake/barrier.cmake
        foreach(name bintrees gcbench graph mixed300k)
            add_executable(bench_flag_${name}
                           ${PROJECT_SOURCE_DIR}/bench/${name}_bench.c)
            target_compile_options(bench_flag_${name} PRIVATE
                                   ${TUZA_BARRIER_FLAGS})
            target_link_libraries(bench_flag_${name} PRIVATE tuza_barrier
                                  tuza_example)
            set_target_properties(bench_flag_${name} PROPERTIES
                OUTPUT_NAME flag_${name}_bench
                RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bench)
        endforeach()
    endif()
    target_link_libraries(bench_flagbar_bench PRIVATE m)
    # The same with the macros of tuza/barrier.h.
    set(told STORE=tuza_store FIRST=tuza_store_first)
    foreach(name bintrees gcbench graph mixed300k)
        add_executable(bench_macro_${name}
                       ${PROJECT_SOURCE_DIR}/bench/${name}_bench.c)
        target_compile_definitions(bench_macro_${name} PRIVATE ${told})
        target_link_libraries(bench_macro_${name} PRIVATE tuza_example)
        set_target_properties(bench_macro_${name} PROPERTIES
            OUTPUT_NAME macro_${name}_bench
            RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bench)
    endforeach()
    # macrobar's programs, three times each: bench/macrobar.h.
    foreach(how plain told all)
        add_library(bench_macrobar_${how} OBJECT
                    ${PROJECT_SOURCE_DIR}/bench/macrobar_trees.c
                    ${PROJECT_SOURCE_DIR}/bench/macrobar_graph.c)
        target_compile_definitions(bench_macrobar_${how} PRIVATE HOW=${how})
        target_compile_options(bench_macrobar_${how} PRIVATE
                               -falign-functions=64)
        target_link_libraries(bench_macrobar_${how} PRIVATE tuza_example)
        target_link_libraries(bench_macrobar_bench PRIVATE
                              bench_macrobar_${how} m)
    endforeach()
    target_compile_definitions(bench_macrobar_told PRIVATE ${told})
    target_compile_definitions(bench_macrobar_all PRIVATE STORE=tuza_store
                               FIRST=tuza_store)
endfunction()
