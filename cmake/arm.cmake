# SPDX-License-Identifier: BSD-3-Clause
# Toolchain: arm Linux with Debian's cross compiler; runs under qemu-arm if there.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR armv7l)
set(CMAKE_C_COMPILER arm-linux-gnueabihf-gcc)
set(CMAKE_OBJCOPY arm-linux-gnueabihf-objcopy)
set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/arm-linux-gnueabihf/pkgconfig:/usr/share/pkgconfig)
find_program(QEMU NAMES qemu-arm-static qemu-arm)
if(QEMU)
    set(CMAKE_CROSSCOMPILING_EMULATOR ${QEMU} -L /usr/arm-linux-gnueabihf)
endif()
