#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only
#
# A program that uses the public headers rightly compiles without a warning as
# C99, gnu11, C++17 and C++20 with -Wpedantic; and each of a list of mistakes
# in types is refused, without any warning option. Every mistake stands beside
# the right form of the same line, which must compile: so it is the mistake
# that is refused, and not something else.
set -u
src_dir=${SRC_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0 refused=0 accepted=0

compilers_c=() compilers_cxx=()
for cc in "${CC:-}" gcc clang; do
    [ -n "$cc" ] && command -v "${cc%% *}" >/dev/null && compilers_c+=("$cc")
done
for cxx in "${CXX:-}" g++ clang++; do
    [ -n "$cxx" ] && command -v "${cxx%% *}" >/dev/null &&
        compilers_cxx+=("$cxx")
done
if [ ${#compilers_c[@]} = 0 ]; then
    echo "no C compiler"
    exit 1
fi

# Compiles stdin; the rest are options. What was said is in $work/said.
compile() { # LANGUAGE COMPILER OPTION...
    local language=$1
    shift
    # shellcheck disable=SC2086 # a compiler may be "ccache gcc"
    $1 "${@:2}" -I"$src_dir/include" -x "$language" -fsyntax-only - \
        >"$work/said" 2>&1
}

# Every macro and every call, in the intersection of C99 and C++17.
control() {
    cat <<'EOF'
#include <tuza.h>
#include <tuza/errno.h>
#include <errno.h>
#include <unistd.h>

typedef struct pair { int a; double b; } pair;

#ifdef __cplusplus
TUZA_CONFIG(2, 100, 0);
#else
TUZA_CONFIG(.maxprocs = 2);
#endif

tuza_fn(none) { tuza_yield(); }
tuza_fn(one, tuza_chan(int), c) { tuza_send(c, 1); }
tuza_fn(two, int, n, pair, p) { (void)n; (void)p; }
tuza_fn(eight, char, a, short, b, int, c, long, d, float, e, double, f,
        const char *, g, tuza_chan(pair), h)
{
    (void)a; (void)b; (void)c; (void)d; (void)e; (void)f; (void)g;
    tuza_close(h);
}
static void raw(void *arg) { *(int *)arg = 1; }

static int channels(void)
{
    tuza_chan(int) c = tuza_chan_make(int, 1);
    tuza_chan(pair) p = tuza_chan_make(pair, 0);
    tuza_chan(const char *) s = tuza_chan_make(const char *, 2);
    tuza_chan(void *) v = tuza_chan_make(void *, 2);
    int x = 0, ok = 0;
    pair y = { 1, 2.0 };
    char *text = 0;
    void *any = 0;
    if (tuza_go(none) || tuza_go(one, c) || tuza_go(two, 1, y) ||
        tuza_go(eight, 'a', 2, 3, 4L, 5.0f, 6.0, "g", p) || tuza_spawn(raw, &x))
        return 1;
    tuza_send(c, 1);
    tuza_send(c, 'c');
    tuza_send(p, y);
    tuza_send(s, "literal");
    tuza_send(s, text);
    tuza_send(v, text);
    tuza_try_send(c, x + 1);
    tuza_recv(c, &x);
    tuza_recv(c, NULL);
    tuza_recv(p, &y);
    tuza_recv(v, &any);
    tuza_try_recv(c, &x);
    tuza_try_recv(c, NULL);
    tuza_range(i, c) { x += i; }
    switch (tuza_select(TUZA_RECV(c, &x), TUZA_RECV_OK(p, &y, &ok),
                        TUZA_RECV(s, NULL), TUZA_SEND(c, &x),
                        TUZA_AFTER(TUZA_MS(1) + TUZA_US(1) + TUZA_NS(1)))) {
    case 0: break;
    default: break;
    }
    tuza_select(TUZA_DEFAULT);
    tuza_close(c);
    return (int)(tuza_len(c) + tuza_cap(p));
}

static int memory(void)
{
    pair *p = tuza_new(pair);
    int *n = tuza_new_array(int, 10);
    void *base = 0;
    tuza_memstats m;
    tuza_schedstats s;
    m.size = sizeof m;
    s.size = sizeof s;
    tuza_gc();
    tuza_gc_set_percent(100);
    tuza_keepalive(p);
    tuza_keepalive(n);
    return tuza_memstats_read(&m) + tuza_schedstats_read(&s) +
           (tuza_alloc(1) == tuza_alloc_bytes(1)) +
           (int)tuza_object_of(p, &base);
}

static int stores(void)
{
    pair *p = tuza_new(pair), *q = p, one = { 1, 2.0 };
    pair **a = tuza_new_array(pair *, 4);
    tuza_store(&a[0], p);
    tuza_store(&a[0], NULL);
    tuza_store_first(&a[2], p);
    tuza_store(p, one);
    tuza_store_atomic(&a[1], p);
    tuza_store_range(a, a + 2, 2);
    tuza_memmove(a, a + 1, sizeof *a);
    tuza_memset(a, 0, sizeof *a);
    tuza_barrier(a, sizeof *a);
    return (tuza_exchange(&a[0], q) == q) + tuza_cas(&a[1], &q, p);
}

static int calls(void)
{
    char byte = 0;
    long n = (long)TUZA_SYSCALL(read(0, &byte, 1));
    int fd = TUZA_BLOCKING(dup(0));
    TUZA_SYSCALL(close(fd));
    tuza_sleep(TUZA_SEC(1));
    tuza_set_label("label");
    errno = 0;
    return (int)n + errno + (&errno == tuza_errno_location()) + tuza_errno() +
           (tuza_now() > 0) + (tuza_goid() == 1);
}

static tuza_mutex mutex;
static tuza_waitgroup group;

TUZA_MAIN
{
    tuza_mutex_lock(&mutex);
    tuza_mutex_unlock(&mutex);
    tuza_waitgroup_add(&group, 1);
    tuza_waitgroup_done(&group);
    tuza_waitgroup_wait(&group);
    return channels() + memory() + stores() + calls() + (tuza_version() == 0);
}
EOF
}

accepts() { # LANGUAGE COMPILER STANDARD OPTION...
    if control | compile "$1" "$2" "-std=$3" -Wall -Wextra -Wpedantic -Werror \
        -D_DEFAULT_SOURCE "${@:4}"; then
        accepted=$((accepted + 1))
    else
        echo "FAILED: $2 -std=$3 does not accept the control program:"
        head -n 20 "$work/said"
        failed=$((failed + 1))
    fi
}

around() { # LINE: a program with it in the middle
    cat <<'EOF'
#include <tuza.h>
struct point { int x, y; };
struct other { int x, y; };
tuza_fn(worker, int, id, tuza_chan(int), jobs) { (void)id; (void)jobs; }
tuza_fn(drawer, struct point, p, const char *, name) { (void)p; (void)name; }
tuza_fn(idle) { }
tuza_fn(user, struct point *, p) { (void)p; }
static void plain(int n) { (void)n; }
extern tuza_chan(int) ints;
extern tuza_chan(long) longs;
extern tuza_chan(char *) texts;
extern tuza_chan(struct point) points;
extern struct point pt;
extern struct other ot;
extern int i;
extern long l;
extern char *text;
extern int *pi;
void program(void);
void program(void)
{
    plain(0);
EOF
    printf '    %s;\n}\n' "$1"
}

# RIGHT must compile and WRONG must not, whatever the compiler.
refuses() { # WHAT RIGHT WRONG
    local i language compiler standard
    for ((i = 0; i < ${#languages[@]}; i++)); do
        read -r language standard compiler <<<"${languages[i]}"
        if ! around "$2" | compile "$language" "$compiler" "-std=$standard"
        then
            echo "FAILED: $compiler -std=$standard, $1: refuses the right: $2"
            head -n 5 "$work/said"
            failed=$((failed + 1))
        elif around "$3" | compile "$language" "$compiler" "-std=$standard"
        then
            echo "FAILED: $compiler -std=$standard, $1: accepts: $3"
            failed=$((failed + 1))
        else
            refused=$((refused + 1))
        fi
    done
}

# A program of TUZA_MAIN and TUZA_CONFIG, linked in both ways, does what they
# say.
runs() { # LANGUAGE COMPILER CONFIG
    local how status
    for how in libtuza.a libtuza.so; do
        [ -e "${BUILD_DIR:-}/$how" ] || continue # not under sanitizers
        cat >"$work/program" <<EOF
#include <tuza.h>
TUZA_CONFIG($3);
TUZA_MAIN
{
    tuza_schedstats st;
    st.size = sizeof st;
    return argc == 3 && argv[2][0] == 'b' && !tuza_schedstats_read(&st)
        ? (int)st.maxprocs : 99;
}
EOF
        # shellcheck disable=SC2086
        $2 -I"$src_dir/include" -x "$1" "$work/program" -x none \
            "$BUILD_DIR/$how" -Wl,-rpath,"$BUILD_DIR" -pthread -o "$work/run" \
            >"$work/said" 2>&1 && env -u TUZAMAXPROCS "$work/run" a b
        status=$?
        if [ $status = 7 ]; then
            accepted=$((accepted + 1))
        else
            echo "FAILED: $2 with $how: status $status, not 7"
            head -n 20 "$work/said"
            failed=$((failed + 1))
        fi
    done
}

languages=()
for cc in "${compilers_c[@]}"; do
    accepts c "$cc" c99
    accepts c "$cc" gnu11 -Wshadow -Wstrict-prototypes -O2
    runs c "$cc" ".maxprocs = 7"
    languages+=("c gnu11 $cc" "c c99 $cc")
done
for cxx in ${compilers_cxx[@]+"${compilers_cxx[@]}"}; do
    accepts c++ "$cxx" c++17
    accepts c++ "$cxx" c++20
    runs c++ "$cxx" "7, 100, 0"
    languages+=("c++ c++17 $cxx")
done

refuses "element of the wrong type sent" \
    'tuza_send(ints, i)' 'tuza_send(ints, text)'
refuses "another struct sent" \
    'tuza_send(points, pt)' 'tuza_send(points, ot)'
refuses "pointer to another type sent" \
    'tuza_send(texts, text)' 'tuza_send(texts, pi)'
refuses "element of the wrong type tried" \
    'tuza_try_send(ints, i)' 'tuza_try_send(ints, pt)'
refuses "received into the wrong pointer" \
    'tuza_recv(ints, &i)' 'tuza_recv(ints, &l)'
refuses "received into no pointer" \
    'tuza_recv(ints, &i)' 'tuza_recv(ints, i)'
refuses "tried to receive into the wrong pointer" \
    'tuza_try_recv(ints, &i)' 'tuza_try_recv(ints, &text)'
refuses "goroutine argument of the wrong type" \
    'tuza_go(worker, 1, ints)' 'tuza_go(worker, "1", ints)'
refuses "struct argument of another type" \
    'tuza_go(drawer, pt, "p")' 'tuza_go(drawer, ot, "p")'
refuses "pointer argument of another type" \
    'tuza_go(user, &pt)' 'tuza_go(user, &ot)'
refuses "too few arguments" \
    'tuza_go(worker, 1, ints)' 'tuza_go(worker, 1)'
refuses "too many arguments" \
    'tuza_go(worker, 1, ints)' 'tuza_go(worker, 1, ints, 2)'
refuses "an argument where there is none" \
    'tuza_go(idle)' 'tuza_go(idle, 1)'
refuses "channel of another type passed" \
    'tuza_go(worker, 1, ints)' 'tuza_go(worker, 1, longs)'
refuses "function that tuza_fn did not declare" \
    'tuza_go(idle)' 'tuza_go(plain, 1)'
refuses "select: receive into the wrong pointer" \
    'tuza_select(TUZA_RECV(ints, &i))' 'tuza_select(TUZA_RECV(ints, &l))'
refuses "select: send from the wrong pointer" \
    'tuza_select(TUZA_SEND(longs, &l))' 'tuza_select(TUZA_SEND(longs, &i))'
refuses "select: something that is no case" \
    'tuza_select(TUZA_DEFAULT)' 'tuza_select(pt)'
refuses "range over what is no channel" \
    'tuza_range(v, ints) { i = v; }' 'tuza_range(v, pi) { i = v; }'
refuses "pointer of another type stored" \
    'tuza_store(&text, text)' 'tuza_store(&text, pi)'
refuses "pointer of another type stored first" \
    'tuza_store_first(&text, text)' 'tuza_store_first(&text, pi)'
refuses "pointer of another type exchanged" \
    '(void)tuza_exchange(&text, text)' '(void)tuza_exchange(&text, pi)'
refuses "expected value of another type" \
    'tuza_cas(&text, &text, text)' 'tuza_cas(&text, &pi, text)'
refuses "returned pointer used as another type" \
    'pi = tuza_new(int)' 'pt = tuza_new(int)'

echo "$accepted control programs accepted, $refused mistakes refused," \
    "$failed complaints"
[ $failed = 0 ]
