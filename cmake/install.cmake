# SPDX-License-Identifier: BSD-3-Clause
#
# What `cmake --install` puts where: libraries, headers, and the files by which
# pkg-config and find_package(tuza) find them.

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/tuza)
install(TARGETS tuza tuza_static ${TUZA_SPLIT} ${TUZA_BARRIER}
        EXPORT tuzaTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(FILES ${PROJECT_SOURCE_DIR}/tools/gdb/tuza-gdb.py
        DESTINATION ${CMAKE_INSTALL_DATADIR}/tuza)
install(EXPORT tuzaTargets NAMESPACE tuza:: DESTINATION ${package_dir})

configure_package_config_file(cmake/tuzaConfig.cmake.in
    ${PROJECT_BINARY_DIR}/tuzaConfig.cmake
    INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/tuzaConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/tuzaConfig.cmake
        ${PROJECT_BINARY_DIR}/tuzaConfigVersion.cmake
        DESTINATION ${package_dir})

# From the folder of tuza.pc to the prefix, so that the tree may be moved.
file(RELATIVE_PATH up "/p/${CMAKE_INSTALL_LIBDIR}/pkgconfig" /p)
string(REGEX REPLACE "/$" "" up "${up}")
configure_file(cmake/tuza.pc.in ${PROJECT_BINARY_DIR}/tuza.pc @ONLY)
if(TUZA_SPLIT)
    configure_file(cmake/tuza-split.pc.in ${PROJECT_BINARY_DIR}/tuza-split.pc
        @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/tuza-split.pc
            DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endif()
install(FILES ${PROJECT_BINARY_DIR}/tuza.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
if(TUZA_BARRIER)
    configure_file(cmake/tuza-barrier.pc.in
        ${PROJECT_BINARY_DIR}/tuza-barrier.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/tuza-barrier.pc
            DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
    install(PROGRAMS ${PROJECT_SOURCE_DIR}/tools/tuza-cflags
            DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
