# SPDX-License-Identifier: BSD-3-Clause
# Toolchain: i386 Linux with the amd64 compiler (Debian: gcc-multilib).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR i386)
set(CMAKE_C_COMPILER gcc)
set(CMAKE_C_FLAGS_INIT -m32)
set(CMAKE_ASM_FLAGS_INIT -m32)
set(ENV{PKG_CONFIG_LIBDIR}
    /usr/lib/i386-linux-gnu/pkgconfig:/usr/share/pkgconfig)
