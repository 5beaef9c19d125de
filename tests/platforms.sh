#!/usr/bin/env bash
# The same bytes on every platform.
#
# Plays `experiments/smoke.ron`, which has each distribution, fault and plot in it, and the small models of components
# that compute more than sums and quotients, with differently built binaries, and compares the SHA-256 of every file:
#
#   debug     glibc, optimised a little, with debug assertions, and with the features of shared crates that
#             dev-dependencies switch on
#   release   glibc, with link-time optimisation, on 1 and on 2 threads
#   no-fma    the release, while glibc is told that the CPU has neither FMA nor AVX2
#   musl      another C library, linked statically, other optimisations (`[profile.cross]`)
#   aarch64   another CPU, in an emulator
#
# Usage: tests/platforms.sh [debug|release|no-fma|musl|aarch64]...     (all, if none is named)
#
# Needs cargo and rustup, and for aarch64 `qemu-user`, which is installed by apt if it is missing. No cross compiler:
# rust-lld links. The files are left in `target/platforms/NAME`.
set -euo pipefail
cd "$(dirname "$0")/.."

experiment=experiments/smoke.ron
components=(
    aws_sdk concurrency-limit connect cpu-credits database-patroni database-replicas deployment-canary
    garbage-collection kafka outlier_detection peak-ewma price-zones queue-random-early rabbitmq resilience4j-breaker
    retransmission runbook spot sqs target-tracking
)
folder=target/platforms
musl=x86_64-unknown-linux-musl
aarch64=aarch64-unknown-linux-musl
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld

wanted=("$@")
wants() { [[ ${#wanted[@]} -eq 0 || " ${wanted[*]} " == *" $1 "* ]]; }

# Plays the experiment as NAME with a command, and notes the sums of its files.
play() {
    local name=$1
    shift
    rm -rf "${folder:?}/$name"
    "$@" run "$experiment" --quiet --out "$folder/$name" > /dev/null
    for component in "${components[@]}"; do
        "$@" run "models/components/$component.ron" --runs 1 --quiet --no-out --format json \
            > "$folder/$name/$component.json" || [[ $? -eq 1 || $? -eq 3 ]]
    done
    (cd "$folder/$name" && sha256sum -- *) > "$folder/$name.sha256"
    echo "$name: $(wc -l < "$folder/$name.sha256") files"
}

install_qemu() {
    command -v qemu-aarch64 > /dev/null && return
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends qemu-user > /dev/null
}

mkdir -p "$folder"
rm -f "$folder"/*.sha256

if wants debug; then
    # As `cargo test` builds it, which is done already where tests have run.
    cargo test --quiet --no-run --test allocations
    play debug target/debug/brownout
fi
if wants release || wants no-fma; then
    cargo build --quiet --release --bin brownout
fi
if wants release; then
    one_thread() { target/release/brownout "$@" --jobs 1; }
    two_threads() { target/release/brownout "$@" --jobs 2; }
    play release-1 one_thread
    play release-2 two_threads
fi
if wants no-fma; then
    play no-fma env GLIBC_TUNABLES=glibc.cpu.hwcaps=-FMA,-AVX2 target/release/brownout
fi
targets=()
if wants musl; then targets+=("$musl"); fi
if wants aarch64; then targets+=("$aarch64"); fi
if [[ ${#targets[@]} -gt 0 ]]; then
    rustup --quiet target add "${targets[@]}"
    # Both at once, so that what runs while building is built once.
    cargo build --quiet --profile cross --bin brownout "${targets[@]/#/--target=}"
fi
if wants musl; then
    play musl "target/$musl/cross/brownout"
fi
if wants aarch64; then
    install_qemu
    play aarch64 qemu-aarch64 "target/$aarch64/cross/brownout"
fi

sums=("$folder"/*.sha256)
[[ -s ${sums[0]} ]] || { echo "nothing was played: is it spelt right?" >&2; exit 2; }
differ=0
for other in "${sums[@]:1}"; do
    if ! diff "${sums[0]}" "$other"; then
        echo "$(basename "$other" .sha256) differs from $(basename "${sums[0]}" .sha256)" >&2
        differ=1
    fi
done
[[ $differ -eq 0 ]] || exit 1
echo "${#sums[@]} plays, the same bytes: $(sha256sum < "${sums[0]}" | cut -c1-16)"
