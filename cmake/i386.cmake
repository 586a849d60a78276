# SPDX-License-Identifier: BSD-3-Clause
# Toolchain: i386 Linux with the amd64 compiler (Debian: libc6-dev-i386,
# lib32gcc-12-dev).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR i386)
set(CMAKE_C_COMPILER gcc)
# Where gcc-multilib would put a link, which no cross compiler tolerates.
set(i386_flags "-m32 -msse2 -idirafter /usr/include/x86_64-linux-gnu")
set(CMAKE_C_FLAGS_INIT ${i386_flags})
set(CMAKE_ASM_FLAGS_INIT ${i386_flags})
set(ENV{PKG_CONFIG_LIBDIR}
    /usr/lib/i386-linux-gnu/pkgconfig:/usr/share/pkgconfig)
