#!/usr/bin/env bash
# How many instructions does a request take, and are they more than they were?
#
# Time tells little on a busy machine; instructions are the same each time (within 0.001 %, measured: the environment is
# emptied, one thread plays). So each system is played under valgrind's callgrind for a few seconds of simulated time,
# and compared with `benches/instructions.txt`. More than 3 % either way is a failure: less, too, as whoever makes it
# faster should write it down, or the next slowdown hides in the gain.
#
# What a start takes (reading, checking, compiling: a run of 1 ns) is taken off; it has a row of its own in
# `cargo bench --bench speed`. What is left is divided by the requests that were sent.
#
# Usage: benches/instructions.sh [--update] [BINARY]      (the binary of a release: target/release/brownout)
#
# Needs valgrind, which is installed by apt if it is missing and we are root.
set -euo pipefail
cd "$(dirname "$0")/.."

file=benches/instructions.txt
tolerance=3
# Name, file, simulated seconds.
systems=(
    "w3 models/bench/w3.ron 10"
    "mm1 models/bench/mm1.ron 10"
    "cascade models/lb-timeout-cascade.ron 10"
)

update=
if [[ ${1:-} == --update ]]; then
    update=1
    shift
fi
binary=${1:-target/release/brownout}
[[ -x $binary ]] || { echo "$binary is not there: cargo build --release" >&2; exit 2; }
compiler=$(rustc --version)
machine=$(uname -m)

if ! command -v valgrind > /dev/null; then
    [[ $(id -u) -eq 0 ]] || { echo "valgrind is missing: apt-get install valgrind" >&2; exit 2; }
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends valgrind > /dev/null
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Plays FILE for DURATION: prints instructions and requests.
count() {
    local valgrind
    valgrind=$(command -v valgrind)
    env -i "$valgrind" --tool=callgrind --callgrind-out-file=/dev/null \
        "$binary" run "$1" --runs 1 --warmup 0s --duration "$2" --jobs 1 --no-out --format json \
        > "$scratch/result.json" 2> "$scratch/told" || { cat "$scratch/told" >&2; exit 2; }
    sed -n 's/.*Collected : \([0-9]*\).*/\1/p' "$scratch/told"
    sed -n 's/^ *"requests": \([0-9]*\),$/\1/p' "$scratch/result.json" | head -1
}

known() { # WHAT [FIELD]: a field of the file
    [[ -f $file ]] && sed -n "s/^$1 *//p" "$file" || true
}

then_compiler=$(known compiler)
then_machine=$(known machine)
if [[ -z $update && -n $then_machine && $machine != "$then_machine" ]]; then
    echo "$file has the instructions of $then_machine, this is $machine: nothing to compare"
    exit 0
fi

failed=()
lines=()
printf '%-10s %12s %12s %9s\n' system "per request" "was" "change"
for system in "${systems[@]}"; do
    read -r name model seconds <<< "$system"
    # 1 ns sends no request.
    read -r start _ <<< "$(count "$model" 1ns | tr '\n' ' ')"
    all='' requests=''
    read -r all requests <<< "$(count "$model" "${seconds}s" | tr '\n' ' ')"
    [[ -n ${requests:-} && $requests -gt 0 ]] || { echo "$name: nothing was counted" >&2; exit 2; }
    now=$(((all - start) / requests))
    lines+=("$(printf '%-10s %d' "$name" "$now")")
    was=$(known "$name")
    if [[ -z $was ]]; then
        printf '%-10s %12d %12s\n' "$name" "$now" "-"
        failed+=("$name is not in the file")
        continue
    fi
    change=$(awk -v now="$now" -v was="$was" 'BEGIN { printf "%+.2f", 100 * (now / was - 1) }')
    printf '%-10s %12d %12d %8s %%\n' "$name" "$now" "$was" "$change"
    if awk -v c="$change" -v t="$tolerance" 'BEGIN { exit !(c > t || c < -t) }'; then
        failed+=("$name takes $now instructions per request, $change % against the $was in the file")
    fi
done
if [[ -n $then_compiler && $compiler != "$then_compiler" ]]; then
    echo "another compiler: the file was written with $then_compiler, this is $compiler"
fi

if [[ -n $update ]]; then
    {
        echo "# Instructions per request, start-up taken off. Written by: benches/instructions.sh --update"
        echo "compiler   $compiler"
        echo "machine    $machine"
        printf '%s\n' "${lines[@]}"
    } > "$file"
    echo "$file is written"
    exit 0
fi
[[ ${#failed[@]} -eq 0 ]] && exit 0
{
    printf '%s\n' "${failed[@]}"
    echo "At most $tolerance % either way are allowed. If it is meant, or the compiler's doing: benches/instructions.sh --update"
} >&2
exit 1
