#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only
#
# The cache under load loses and mixes up nothing, whatever the collector does:
# what one worker finds is the same to the last hit. What it prints fits
# together, it says what was asked wrongly, and it notices planted mistakes.
set -u
export LC_ALL=C
cache=$BUILD_DIR/examples/cache
if [ ! -x "$cache" ]; then
    echo "$cache is not built"
    exit 1
fi
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0 ran=0

fail() {
    echo "FAILED: $*"
    failed=$((failed + 1))
}

# Runs cache with these arguments: $status, $work/out, $work/err.
run() {
    ran=$((ran + 1))
    timeout 120 "$cache" "$@" >"$work/out" 2>"$work/err"
    status=$?
}

is_status() { # WANTED WHAT
    [ "$status" = "$1" ] && return
    fail "$2: status $status, not $1"
    head -n 20 "$work/err"
}

value() { # KEY: of the lines above the plot
    sed -nE "s/(^|.* )$1=([0-9.]+)( .*|\$)/\2/p" "$work/out"
}

is_value() { # KEY WANTED WHAT
    local got
    got=$(value "$1")
    [ "$got" = "$2" ] || fail "$3: $1=$got, not $2"
}

holds() { # WHAT CONDITION: of awk
    awk "BEGIN { exit !($2) }" || fail "$1: not $2"
}

lines_are() { # WHAT
    local n=[0-9]+ d='[0-9]+\.[0-9][0-9]' line i=0
    local wanted=(
        "ops=$n wall_ms=$n cpu_ms=$n ops_per_s=$n fill_ms=$n"
        "reads=$n hits=$n hit_percent=$d"
        "entries=$n live_mib=$d limit_mib=$d peak_rss_mib=$n"
        "collections=$n pause_total_us=$n longest_pause_us=$n"
        "p50_ns=$n p90_ns=$n p99_ns=$n" "p999_ns=$n p9999_ns=$n max_ns=$n"
        "" " +from +operations +percent +logarithm of it")
    while IFS= read -r line; do
        [[ $line =~ ^${wanted[i]:- +[0-9.]+ (ns|us|ms|s ) .*}$ ]] ||
            { [ -z "$line" ] && [ $i = 6 ]; } || fail "$1: line: $line"
        [ ${#line} -le 80 ] || fail "$1: more than 80 columns: $line"
        i=$((i + 1))
    done <"$work/out"
    [ $i -ge 9 ] || fail "$1: only $i lines"
    [ ! -s "$work/err" ] || fail "$1: says $(cat "$work/err")"
}

# The bars count every operation, each as long as its logarithm, and the
# quantiles are in the row where so many operations are reached.
plot_fits() { # WHAT
    awk -v ops="$(value ops)" -v p50="$(value p50_ns)" \
        -v p90="$(value p90_ns)" -v p99="$(value p99_ns)" \
        -v p999="$(value p999_ns)" -v p9999="$(value p9999_ns)" \
        -v max="$(value max_ns)" '
    function bad(text) { print text; failed = 1 }
    function inside(part, ns) { # a row has two digits behind the point
        if (before < part * ops && sum >= part * ops &&
            (ns < from * 0.99 || ns > from * 2.01))
            bad(part " is " ns " ns, its row begins at " from)
    }
    NR > 8 {
        unit = $2 == "ns" ? 1 : $2 == "us" ? 1e3 : $2 == "ms" ? 1e6 : 1e9
        from = $1 * unit
        if (rows++ && (from < last * 1.98 || from > last * 2.02))
            bad("rows at " last " and " from)
        last = from
        before = sum
        sum += $3
        inside(0.5, p50); inside(0.9, p90); inside(0.99, p99)
        inside(0.999, p999); inside(0.9999, p9999); inside(1, max)
        percents += $4
        count[rows] = $3
        bar[rows] = length($5)
        if ($3 > most) most = $3
    }
    END {
        if (sum != ops) bad(sum " in the plot, of " ops)
        if (percents < 99.99 || percents > 100.01) bad(percents " percent")
        for (i = 1; i <= rows; i++) {
            length_wanted = 40 * log(1 + count[i]) / log(1 + most)
            if (bar[i] < length_wanted - 1.5 || bar[i] > length_wanted + 1.5)
                bad(count[i] " of " most " is a bar of " bar[i])
        }
        if (!(p50 <= p90 && p90 <= p99 && p99 <= p999 && p999 <= p9999 &&
              p9999 <= max)) bad("quantiles are not in order")
        exit failed
    }' "$work/out" || fail "$1: the plot does not fit"
}

output() {
    local workers what
    for workers in 1 3 8; do
        what="$workers workers, $TUZAMAXPROCS threads"
        run -m 1 -w $workers -n 20001
        is_status 0 "$what"
        lines_are "$what"
        plot_fits "$what"
        is_value ops 20001 "$what"
        is_value limit_mib 1.00 "$what"
        holds "$what" "$(value live_mib) > 0.8 && $(value live_mib) < 1"
        # An entry has 48 bytes, and 504 more on average.
        holds "$what" "$(value live_mib) * 1048576 / $(value entries) > 400"
        holds "$what" "$(value hits) > $(value reads) / 2"
        holds "$what" "$(value hits) < $(value reads)"
        holds "$what" "$(value reads) > 17500 && $(value reads) < 18500"
    done
}

# The same hits whatever is collected when: TUZADEBUG must not matter.
collections() {
    local debug expected got
    TUZAGC=off run -m 0.25 -w 1 -n 1000
    is_value collections 0 "no collections"
    expected=$(value hits)/$(value entries)/$(value live_mib)
    for debug in stress=gc gcevery=7,clobberfree=1 gcevery=20,gccheckmark=1; do
        export TUZADEBUG=$debug
        run -m 0.25 -w 1 -n 1000
        is_status 0 "$debug"
        got=$(value hits)/$(value entries)/$(value live_mib)
        [ "$got" = "$expected" ] || fail "$debug: $got, not $expected"
        # Those of the load: an entry and a value for each operation but hits.
        holds "$debug" "$(value collections) >= 10"
        holds "$debug" "$(value collections) < 2 * (1000 - $(value hits)) + 100"
        run -m 0.25 -w 4 -n 1000
        is_status 0 "$debug, 4 workers"
    done
    unset TUZADEBUG
}

reads_and_writes() {
    run -m 1 -n 1000 -r 0
    is_value reads 0 "only writes"
    is_value hit_percent 0.00 "only writes"
    run -m 1 -n 1000 -r 100
    is_value reads 1000 "only reads"
    holds "only reads" "$(value hits) > 750" # what was filled in is asked for
    holds "only reads" "$(value hits) / 10 - $(value hit_percent) < 0.01"
}

times() {
    run -m 1 -s 0.2
    holds "for 200 ms" "$(value wall_ms) >= 200 && $(value ops) > 0"
    holds "for 200 ms" "$(value cpu_ms) > 0 && $(value cpu_ms) < 1000"
    run -m 1 -s 100 -n 10
    is_value ops 10 "what comes first ends"
    run -m 1 -w 3 -q 2000 -s 0.1
    is_value ops 200 "2000 a second"
    holds "2000 a second" "$(value wall_ms) >= 99"
    # All are due at once, and half of them wait for thousands of others.
    run -m 1 -q 1000000000 -n 50000
    holds "all at once" "$(value p50_ns) > 100000"
}

wrong() { # MESSAGE ARGUMENT...
    local message=$1
    shift
    run "$@"
    is_status 2 "$*"
    [ ! -s "$work/out" ] || fail "$*: prints $(head -n 1 "$work/out")"
    grep -q "^cache: $message" "$work/err" || fail "$*: $(cat "$work/err")"
    grep -q '^usage: cache ' "$work/err" || fail "$*: no usage"
}

misuse() {
    wrong '-m: 0.2 is not a number from 0.25 to [0-9]*$' -m 0.2
    wrong '-m: 64k is not' -m 64k
    wrong '-m: 99999999999999999999 is not' -m 99999999999999999999
    wrong '-w: -1 is not' -w -1
    wrong '-w: 10001 is not' -w 10001
    wrong '-s: 0 is not a number from 0.001 to 1000000$' -s 0
    wrong '-s: nan is not' -s nan
    wrong '-s: 1s is not' -s 1s
    wrong '-n:  is not' -n ''
    wrong '-r: 101 is not a number from 0 to 100$' -r 101
    wrong '-q: x is not' -q x
    wrong 'what is 64?' 64
    wrong 'what is -x?' -x
    wrong '-m: of what?' -m
    run -h
    is_status 0 "help"
    grep -q '^usage: cache ' "$work/out" || fail "no help"
    [ ! -s "$work/err" ] || fail "help says $(cat "$work/err")"
}

refusals() {
    if [ -w /dev/full ]; then
        ran=$((ran + 1))
        "$cache" -m 1 -n 100 >/dev/full 2>"$work/err"
        status=$?
        is_status 1 "full disk"
        grep -qx 'cache: standard output: No space left on device' \
            "$work/err" || fail "full disk: $(cat "$work/err")"
    fi
    # Nobody reads, and where SIGPIPE is ignored the error is told.
    ran=$((ran + 1))
    mkfifo "$work/pipe"
    exec 3<>"$work/pipe" 4>"$work/pipe" 3>&-
    (trap '' PIPE && exec "$cache" -m 1 -n 100) >&4 2>"$work/err"
    status=$?
    exec 4>&-
    is_status 1 "nobody reads"
    grep -qx 'cache: standard output: Broken pipe' "$work/err" ||
        fail "nobody reads: $(cat "$work/err")"
    TUZAMEMMAX=16M run -m 64 -n 100
    is_status 1 "no memory"
    grep -qx 'cache: Cannot allocate memory' "$work/err" ||
        fail "no memory: $(cat "$work/err")"
}

# Programs of parts of the example, where the library is as users have it.
compile() { # PROGRAM SOURCE...
    local program=$1
    shift
    cc -I"$SRC_DIR/include" -I"$SRC_DIR/examples/cache" "$@" \
        "$BUILD_DIR/libtuza.a" -pthread -o "$work/$program" 2>"$work/err"
}

# Quantiles are at most a thirty-second above those of all times, sorted.
quantiles() {
    cat >"$work/quantiles.c" <<'END'
#include <stdio.h>
#include <stdlib.h>
#include "cache.h"

enum { N = 100003 };
static int64_t times[N];

void die(const char *format, ...) { puts(format); exit(3); }
void *need(void *p) { return p; }

static int less(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

TUZA_MAIN
{
    for (int i = 0; i < 100; i++)
        histogram_new();
    tuza_gc(); // and so there is used memory
    struct histogram *halves[] = { histogram_new(), histogram_new() };
    for (int i = 0; i < N; i++) {
        times[i] = ((int64_t)random() << 31 | random()) >> random() % 62;
        histogram_add(halves[i % 2], times[i]);
    }
    histogram_merge(halves[0], halves[1]);
    qsort(times, N, sizeof *times, less);
    for (uint64_t part = 1; part <= 10000; part++) {
        int64_t got = histogram_quantile(halves[0], part, 10000);
        int64_t exact = times[(N * part + 9999) / 10000 - 1];
        if (got < exact || got - exact > exact / 32) {
            printf("%d: %lld, not %lld\n", (int)part, (long long)got,
                   (long long)exact);
            return 1;
        }
    }
    return histogram_max(halves[0]) == times[N - 1] ? 0 : 2;
}
END
    ran=$((ran + 1))
    compile quantiles "$work/quantiles.c" \
        "$SRC_DIR/examples/cache/histogram.c" &&
        TUZADEBUG=clobberfree=1 "$work/quantiles" >"$work/err" ||
        fail "quantiles: $(cat "$work/err")"
}

# What was used least recently goes first, and only when there is need.
order() {
    cat >"$work/order.c" <<'END'
#include <stdio.h>
#include <stdlib.h>
#include "cache.h"

enum { SHARDS = 64, ENTRIES = 5, WORDS = 10 };

void die(const char *format, ...) { puts(format); exit(3); }
void *need(void *p) { return p; }

static int put(struct cache *c, uint64_t key, uint64_t word, size_t nwords)
{
    uint64_t *words = tuza_alloc_bytes(nwords * 8);
    words[0] = word;
    return cache_put(c, key, (value){ words, nwords });
}

// Keys as small as these are all in one shard, and here in one chain.
static void expect(struct cache *c, const char *wanted)
{
    for (uint64_t key = 0; key < 8; key++) {
        value v = { 0 };
        char got = cache_get(c, key * 64, &v) ? (char)v.words[0] : '-';
        if (got != wanted[key])
            printf("%d: %c in %s\n", (int)key, got, wanted), exit(1);
    }
}

TUZA_MAIN
{
    size_t bytes = cache_entry_bytes() + WORDS * 8;
    struct cache *c = cache_new(SHARDS * ENTRIES * bytes, 1);
    value v;
    for (uint64_t key = 0; key < 5; key++)
        put(c, key * 64, 'a' + key, WORDS);
    expect(c, "abcde---"); // and so uses them, from the first to the last
    put(c, 5 * 64, 'f', WORDS);
    expect(c, "-bcdef--");
    cache_get(c, 1 * 64, &v);
    put(c, 6 * 64, 'g', WORDS);
    expect(c, "-b-defg-"); // b was used, c goes
    put(c, 3 * 64, 'D', WORDS);
    expect(c, "-b-Defg-"); // nobody has to go
    put(c, 7 * 64, 'h', 3 * WORDS);
    expect(c, "-----fgh"); // in the place of three
    if (v.words[0] != 'b' || put(c, 0, 'x', 6 * WORDS + 40) != -EFBIG)
        return 2;
    expect(c, "-----fgh");
    return (int)(cache_audit(c).entries - 3);
}
END
    ran=$((ran + 1))
    compile order "$work/order.c" "$SRC_DIR/examples/cache/lru.c" &&
        "$work/order" >"$work/err" || fail "order: $(cat "$work/err")"
}

# What the program says of itself is worth something: it notices a mistake.
mistake() { # MESSAGE FILE SED-COMMAND ARGUMENT...
    local message=$1 file=$2 edit=$3 src=$SRC_DIR/examples/cache
    shift 3
    mkdir -p "$work/src"
    cp "$src"/*.[ch] "$work/src"
    sed -i "$edit" "$work/src/$file"
    if cmp -s "$src/$file" "$work/src/$file" ||
        ! compile mistake "$work"/src/*.c; then
        fail "$edit: cannot be made: $(head -n 5 "$work/err")"
        return
    fi
    ran=$((ran + 1))
    timeout 120 "$work/mistake" -m 1 -n 20000 "$@" >"$work/out" 2>"$work/err"
    status=$?
    is_status 1 "$edit"
    grep -q "^cache: $message" "$work/err" || fail "$edit: $(cat "$work/err")"
}

mistakes() {
    TUZADEBUG=gcevery=1000 \
        mistake 'key [0-9a-f]* has a value that is not its own$' \
        lru.c 's/, newer, older, value.words)/, newer, older)/'
    mistake 'shard [0-9]* counts [0-9]* bytes, has [0-9]*, may have 16384$' \
        lru.c 's/while (s->used + cost(e) > /if (s->used > /'
}

for procs in 1 2; do
    export TUZAMAXPROCS=$procs
    output
    collections
done
reads_and_writes
times
misuse
refusals
if [ "$PRESET" = release ]; then
    quantiles
    order
    mistakes
fi
echo "$ran runs, $failed complaints"
[ $failed = 0 ]
