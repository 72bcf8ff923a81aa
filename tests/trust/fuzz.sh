#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# libFuzzer on the native calls, the vendor's calls, the readers of files and the command line: fuzz [SECONDS] [TARGET]
# needs: clang libclang-rt-14-dev
#
# SECONDS, 30 if not given, are for each target: native, aclnn, reader, command. An input that breaks something stays
# in build-fuzz/found/, and "build-fuzz/fuzz/fuzz_TARGET FILE" shows it again. New inputs of interest are gathered in
# build-fuzz/corpus/; the smallest set that covers as much goes into tests/trust/fuzz/corpus with
# "build-fuzz/fuzz/fuzz_TARGET -use_counters=0 -merge=1 NEW_DIRECTORY build-fuzz/corpus/TARGET".
# shellcheck source=tests/trust/common.sh
source "$(dirname "$0")/common.sh"
seconds=${1:-30}
case $seconds in '' | *[!0-9]*) usage '[SECONDS] [TARGET]' ;; esac
read -ra targets <<<"${2:-native aclnn reader command}"
if [ "$(clang -dumpversion | cut -d. -f1)" -lt 14 ]; then fail 'clang 14 or newer is needed'; fi

# At -O3 the kernels take long to compile, and what they access is the same.
CC=clang CXX=clang++ configure -DFLOYDATTN_FUZZ=ON -DFLOYDATTN_SANITIZE=fuzzer-no-link,address,undefined \
    -DCMAKE_BUILD_TYPE=Debug -DCMAKE_{C,CXX}_FLAGS=-O1 -DFLOYDATTN_CUDA=OFF -DFLOYDATTN_EXAMPLES=OFF
cmake --build "$build" --parallel "$jobs" --target "${targets[@]/#/fuzz_}" |
    grep -E '(warning|error|FAILED):' || [ "${PIPESTATUS[0]}" -eq 0 ]

found=$PWD/$build/found
TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
# The command ends by exit, with memory in use on purpose: command.c asks for leaks in its own way.
export ASAN_SYMBOLIZER_PATH=${ASAN_SYMBOLIZER_PATH:-$(command -v llvm-symbolizer-14 || true)}
mkdir -p "$found"

fuzz() { # fuzz TARGET
    local target=$1
    local corpus=$PWD/$build/corpus/$target seeds=$PWD/tests/trust/fuzz/corpus/$target log=$PWD/$build/fuzz-$target.log
    local options=(-max_total_time="$seconds" -timeout=60 -rss_limit_mb=4096 -len_control=0 -max_len=2000 -print_final_stats=1)
    mkdir -p "$corpus"
    if [ "$target" = reader ]; then options+=(-dict="$PWD/tests/trust/fuzz/reader.dict"); fi
    if ! "$build/fuzz/fuzz_$target" "${options[@]}" -artifact_prefix="$found/$target-" "$corpus" "$seeds" >"$log" 2>&1; then
        grep -vE '^(#|INFO|0x)|^"' "$log" | head -n 60
        fail "$target: the input is in $build/found, all that was said in ${log#"$PWD"/}"
    fi
    awk -v target="$target" '/DONE/ { for (i = 1; i < NF; i++) { if ($i == "cov:") cov = $(i + 1); if ($i == "ft:") ft = $(i + 1) } }
        /^Done/ { runs = $2; seconds = $5 }
        END { printf "%-8s %9d executions in %4d s, coverage %5d, features %6d\n", target, runs, seconds, cov, ft }' "$log"
}

# As many at a time as there are processors.
running=0 status=0
for target in "${targets[@]}"; do
    if ((running++ == jobs)); then
        wait -n || status=1
        ((running--))
    fi
    fuzz "$target" &
done
for ((; running > 0; running--)); do wait -n || status=1; done
[ "$status" -eq 0 ] || exit 1
say 'no crash, no hang, no leak, no write outside an output'
