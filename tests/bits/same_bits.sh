#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs floyd_bits under every kernel that uses fused multiply-add and runs here, and compares its lines with the kept
# table. Further builds of it, one for another processor by way of its emulator, say, have to agree too.
# usage: same_bits.sh COMMAND... [-- COMMAND...]...
set -euo pipefail
kept=$(dirname "$0")/floyd_bits.txt
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
compared=

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

under() { # under ISA COMMAND...
    local isa=$1 who
    shift
    who="$1 under $isa"
    [ $# -eq 1 ] || who="${*: -1} by $who"
    FLOYDATTN_ISA=$isa "$@" >"$scratch/all" || fail "$who"
    read -r first <"$scratch/all" || fail "$who printed nothing"
    [ "$first" = "isa $isa" ] || fail "$who says: $first"
    tail -n +2 "$scratch/all" >"$scratch/lines"
    printf '%5d problems: %s\n' "$(wc -l <"$scratch/lines")" "$who"
    compared=1
    diff "$kept" "$scratch/lines" >"$scratch/differences" && return
    head -n 20 "$scratch/differences"
    fail "$who (>) differs from $kept (<); where bits are meant to change:" \
        "./run test bits --update, and a line in CHANGELOG.md"
}

each_isa() { # each_isa COMMAND...
    "$@" isas >"$scratch/isas" || fail "$* isas"
    [ -s "$scratch/isas" ] || fail "$* knows no kernel that runs here and fuses"
    while read -r isa <&3; do under "$isa" "$@"; done 3<"$scratch/isas"
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
[ -n "$compared" ] || fail 'usage: same_bits.sh COMMAND... [-- COMMAND...]...'
