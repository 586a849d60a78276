# SPDX-License-Identifier: BSD-3-Clause
#
# Which files of src/ belong to this target.
#
# A name may end in _<system>, _<cpu> or _<system>_<cpu>: such a file is built
# only there. x_generic.c is built only where no such file with the stem x
# exists. All other files are built everywhere.

set(TUZA_SYSTEMS linux openbsd freebsd netbsd darwin)
set(TUZA_CPUS amd64 i386 arm64 arm riscv64 ppc64le s390x)

string(TOLOWER "${CMAKE_SYSTEM_NAME}" TUZA_SYSTEM)
string(TOLOWER "${CMAKE_SYSTEM_PROCESSOR}" processor)
set(narrow FALSE) # a 32-bit build on a 64-bit machine
if(CMAKE_SIZEOF_VOID_P EQUAL 4)
    set(narrow TRUE)
endif()
if(processor MATCHES "^(x86_64|amd64|i[3-6]86)$")
    set(TUZA_CPU amd64)
    if(narrow)
        set(TUZA_CPU i386)
    endif()
elseif(processor MATCHES "^(aarch64|arm)")
    set(TUZA_CPU arm64)
    if(narrow)
        set(TUZA_CPU arm)
    endif()
else()
    set(TUZA_CPU ${processor})
endif()

# Sets STEM to NAME without its suffixes and FITS to whether all of these name
# this target.
function(tuza_suffix name stem fits)
    set(ok TRUE)
    foreach(kind CPU SYSTEM)
        string(REGEX MATCH "^(.+)_([a-z0-9]+)$" matched "${name}")
        if(matched AND CMAKE_MATCH_2 IN_LIST TUZA_${kind}S)
            set(name ${CMAKE_MATCH_1})
            if(NOT CMAKE_MATCH_2 STREQUAL TUZA_${kind})
                set(ok FALSE)
            endif()
        endif()
    endforeach()
    set(${stem} ${name} PARENT_SCOPE)
    set(${fits} ${ok} PARENT_SCOPE)
endfunction()

function(tuza_sources out)
    file(GLOB files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/*/*.c
         ${PROJECT_SOURCE_DIR}/src/*/*.S)
    set(taken)
    set(generic)
    set(own)
    foreach(file ${files})
        get_filename_component(dir ${file} DIRECTORY)
        get_filename_component(name ${file} NAME_WE)
        if(name MATCHES "^(morestack|compiled_)") # libraries of their own:
            # split.cmake and barrier.cmake
            continue()
        endif()
        if(name MATCHES "^(.+)_generic$")
            list(APPEND generic ${dir}/${CMAKE_MATCH_1})
            continue()
        endif()
        tuza_suffix(${name} stem fits)
        if(fits)
            list(APPEND taken ${file})
            if(NOT stem STREQUAL name)
                list(APPEND own ${dir}/${stem})
            endif()
        endif()
    endforeach()
    foreach(stem ${generic})
        if(NOT stem IN_LIST own)
            list(APPEND taken ${stem}_generic.c)
        endif()
    endforeach()
    set(${out} ${taken} PARENT_SCOPE)
endfunction()
