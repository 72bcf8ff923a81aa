#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs floyd_bits under every kernel that uses fused multiply-add and runs here, and compares its lines with the kept
# table. Further builds of it, one for another processor by way of its emulator, say, have to agree too.
# usage: same_bits.sh COMMAND... [-- COMMAND...]...
set -euo pipefail
kept=$(dirname "$0")/floyd_bits.txt
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
declare -A processes=() # the runs under way, and what is said of each afterwards

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

under() { # under OUT ISA COMMAND...: OUT is where its output stays
    local out=$1 isa=$2 who="$3 under $2"
    shift 2
    [ $# -eq 1 ] || who="${*: -1} by $who"
    FLOYDATTN_ISA=$isa "$@" >"$out" || fail "$who"
    read -r first <"$out" || fail "$who printed nothing"
    [ "$first" = "isa $isa" ] || fail "$who says: $first"
    if diff "$kept" <(tail -n +2 "$out") >"$out.differences"; then
        printf '%5d problems: %s\n' "$(($(wc -l <"$out") - 1))" "$who"
        return
    fi
    head -n 20 "$out.differences"
    fail "$who (>) differs from $kept (<); where bits are meant to change:" \
        "./run test bits --update, and a line in CHANGELOG.md"
}

wait_for_one() {
    local process status=0
    wait -n -p process "${!processes[@]}" || status=$?
    unset "processes[$process]"
    [ "$status" -eq 0 ] || failed=1
}

failed='' runs=0
each_isa() { # each_isa COMMAND...: as many runs at a time as there are processors
    "$@" isas >"$scratch/isas" || fail "$* isas"
    [ -s "$scratch/isas" ] || fail "$* knows no kernel that runs here and fuses"
    while read -r isa <&3; do
        [ ${#processes[@]} -lt "$(nproc)" ] || wait_for_one
        runs=$((runs + 1))
        under "$scratch/$runs" "$isa" "$@" &
        processes[$!]=1
    done 3<"$scratch/isas"
}

command=()
for word in "$@" --; do
    if [ "$word" != -- ]; then
        command+=("$word")
    elif [ ${#command[@]} -gt 0 ]; then
        each_isa "${command[@]}"
        command=()
    fi
done
while [ ${#processes[@]} -gt 0 ]; do wait_for_one; done
[ "$runs" -gt 0 ] || fail 'usage: same_bits.sh COMMAND... [-- COMMAND...]...'
[ -z "$failed" ]
