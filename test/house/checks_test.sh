#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only
#
# Each structural check in tools/ finds nothing in a small good tree and
# complains, naming the place, once that tree is broken in one way.
set -u
src_dir=${SRC_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0 ran=0

good() { # makes the good tree anew
    rm -rf "$work/t"
    mkdir -p "$work/t"/{src/{base,os,gc,check,diag,api},include/tuza,tools}
    cd "$work/t" || exit 1
    touch CMakeLists.txt
    cat >src/base/base.h <<'EOF'
// Cites its own [base.I1].
int tz_base_add(int a, int b);
EOF
    printf '#include "base/base.h"\n' >src/base/base.c
    printf '#include "base/base.h"\n#if TZ_DEBUG\n#endif\n' >src/os/vm.c
    printf '#if defined(__linux__)\n#endif\n' >src/os/vm_linux.c
    printf '#if __SANITIZE_ADDRESS__\n#endif\n' >src/base/san.h
    printf '#include "os/vm.h"\n' >src/check/verify.c
    printf '#include "check/verify.h"\n#include "diag/d.h"\n' >src/api/init.c
    printf -- '- **I1** the sum is right\n- **I12** more\n' \
        >src/base/README.md
    cat >include/tuza.h <<'EOF'
/* TUZA_API int tuza_in_comment(void); */
#define TUZA_API __attribute__((visibility("default")))
#ifdef __cplusplus
extern "C" {
#endif
typedef int tuza_int;
TUZA_API tuza_int tuza_add(int a,
    void (*tuza_fn)(void));
TUZA_API extern const int tuza_version[2];
static inline int tuza_inline(void) { return 1; }
#ifdef __cplusplus
}
#endif
EOF
    # shellcheck disable=SC2016
    printf 'long %s(void)\n{\n    return 1;\n}\n' shortfn >src/gc/gc.c
}

library() { # builds the tree's libraries as the real build would lay them out
    local objects=build/release/CMakeFiles/tuza_objects.dir room=$1
    mkdir -p "$objects/src/$room"
    cat >"src/$room/made.c"
    gcc -w -fPIC -fvisibility=hidden -Iinclude -c "src/$room/made.c" \
        -o "$objects/src/$room/made.c.o" &&
        gcc -shared -o build/release/libtuza.so "$objects/src/$room/made.c.o" &&
        cp "$objects/src/$room/made.c.o" build/release/made.o &&
        objcopy --localize-hidden build/release/made.o &&
        ar rc build/release/libtuza.a build/release/made.o || exit 1
}

fine() { # CHECK: must find nothing
    ran=$((ran + 1))
    if ! "$src_dir/tools/$1" "$work/t" >"$work/out" 2>&1; then
        echo "tools/$1 complains of a good tree:"
        cat "$work/out"
        failed=$((failed + 1))
    fi
}

complains() { # CHECK PATTERN...: must exit 1 and say each
    local check=$1 pattern status
    shift
    ran=$((ran + 1))
    "$src_dir/tools/$check" "$work/t" >"$work/out" 2>&1
    status=$?
    if [ $status = 0 ]; then
        echo "tools/$check does not notice: $*"
        failed=$((failed + 1))
        return
    fi
    for pattern; do
        grep -qE "$pattern" "$work/out" && continue
        echo "tools/$check, status $status, does not say $pattern but:"
        cat "$work/out"
        failed=$((failed + 1))
    done
}

lines() { # N: that many lines of C
    local i
    for ((i = 0; i < $1; i++)); do echo '    ;'; done
}

layers() {
    good
    fine layers
    printf '#include <stdio.h>\n#include "os/vm.h"\n' >src/base/base.c
    complains layers '^src/base/base.c:2: base may not include os'
    good
    echo '#include "diag/dump.h"' >src/check/verify.c
    complains layers '^src/check/verify.c:1: check may not include diag'
    good
    echo '#include TZ_CPU_HEADER(gc,x_)' >src/os/vm.c
    complains layers '^src/os/vm.c:1: os may not include gc'
    good
    echo '#include "../gc/gc.h"' >src/os/vm.c
    complains layers '^src/os/vm.c:1: include by room'
    good
    echo '#include "base/base.h"' >>include/tuza.h
    complains layers '^include/tuza.h:[0-9]+: a public header'
    good
    mkdir src/attic && echo >src/attic/a.c
    complains layers 'no such room: attic'
}

oscond() {
    good
    fine oscond
    printf '#if TZ_DEBUG && \\\n  defined(__x86_64__)\n#endif\n' >src/os/vm.c
    complains oscond '^src/os/vm.c:2: conditional on a CPU'
    good
    echo '# ifdef __GLIBC__' >>include/tuza.h
    complains oscond '^include/tuza.h:[0-9]+: conditional on a system'
    good
    echo '#elif __has_feature(thread_sanitizer)' >>src/os/vm_linux.c
    complains oscond '^src/os/vm_linux.c:3: conditional on a sanitizer'
    good
    echo '#if defined __OpenBSD__' >src/os/vm_generic.c
    complains oscond '^src/os/vm_generic.c:1: conditional on a system'
}

sizes() {
    good
    { echo '// dispatch: one case an opcode.'; echo 'static int'
      echo 'wide(int x)'; echo '{'; lines 90; echo '}'; } >src/gc/big.c
    fine sizes
    echo '#define TZ_NEEDS(x) __attribute__((x))' >src/gc/needs.h
    { echo 'int TZ_NEEDS(g0) long_one(int x)'; echo '{'; lines 69
      echo '}'; } >src/gc/big.c
    complains sizes '^src/gc/big.c:1: long_one has 72 lines'
    good
    lines 801 >src/gc/big.h
    complains sizes '^src/gc/big.h:801: file of 801 lines'
    good
    lines 301 >src/gc/x_amd64.S
    complains sizes '^src/gc/x_amd64.S:301:'
    good
    lines 100 >src/base/base.h
    complains sizes '^src/base/base.h:100:'
    good
    lines 151 >CMakeLists.txt
    complains sizes '^CMakeLists.txt:151:'
}

exports() {
    local rest='#include <tuza.h>
        const int tuza_version[2] = {0, 1}; int tz_base;'
    local add='int tuza_add(int a, void (*f)(void)) { return tz_base; }'
    good
    library base <<<"$rest $add"
    fine exports
    good
    library base <<<"$rest"
    complains exports '^include/tuza.h:7: declares tuza_add, which'
    good
    library base <<<"$rest $add TUZA_API int tuza_other(void) { return 1; }"
    complains exports 'exports tuza_other, which no header declares'
    good
    library base <<<"$rest $add TUZA_API int tz_other(void) { return 1; }"
    complains exports 'exports tz_other, not named' 'libtuza.a: defines'
}

globals() {
    local room
    good
    library base <<<'int tz_base = 1; const int tz_k[] = {1}; static int s;
        const char *const tz_names[] = {"a"}; __thread int tz_tls;'
    echo 'tz_tls the one thread-local object' >tools/globals.allow
    fine globals
    echo 'tz_tls' >tools/globals.allow
    complains globals '^tools/globals.allow:1: no reason'
    rm tools/globals.allow
    complains globals '^src/base/made.c:1: mutable global tz_tls'
    for room in 'int tz_base; int tz_base_two = 2;' \
        'int tz_base_b = 1; __attribute__((weak)) int tz_base;'; do
        good
        library base <<<"$room"
        complains globals '^src/base/made.c:1: second mutable global of base'
    done
    good
    library os <<<'int tz_base[4];'
    complains globals '^src/os/made.c:1: mutable global tz_base, not named'
}

headers() {
    good
    fine headers
    echo 'size_t tz_os_size(void);' >src/os/vm.h
    complains headers '^src/os/vm.h:1: does not compile alone'
    good
    echo '#error "another CPU"' >src/os/x_s390x.h
    fine headers
    echo '// in C++ style' >>include/tuza.h
    echo 'static inline int f(int class) { return class; }' >>include/tuza.h
    complains headers 'include/tuza.h:1: .* g[+][+] '
    good
    echo 'static inline int tuza_f(int n) { return ({ n; }); }' \
        >include/tuza/f.h
    complains headers 'include/tuza/f.h:1: .* gcc .*c99' 'c[+][+]17'
}

citations() {
    good
    fine citations
    echo '// By [base.I2] and [base.I12].' >src/gc/gc.c
    complains citations '^src/gc/gc.c:1: \[base.I2\] is not in'
    good
    echo '// By [gc.I1].' >src/gc/gc.c
    complains citations '^src/gc/gc.c:1: \[gc.I1\] is not in src/gc/README'
    good
    echo '- I1 again' >>src/base/README.md
    complains citations '^src/base/README.md:1: I1 is there twice'
}

words() { # the words are put together here, as this file is checked too
    local text
    good
    echo 'Go issue 9321; a workspace; gc/work.c; in session_t' >src/gc/x.c
    fine words
    for text in "see /wor""k/main" "../shar""ed/style.md" "a sess""ion of" \
        "fixes iss""ue 12" "iss""ues #3"; do
        good
        echo "$text" >src/gc/x.c
        complains words 'src/gc/x.c:1:'
    done
}

for check in layers oscond sizes exports globals headers citations words; do
    $check
done
echo "$ran trials, $failed complaints"
[ $failed = 0 ]
