#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Problems drawn by chance, for as long as is asked: each is judged by the reference, and memory stays flat.
# shellcheck source=tests/trust/common.sh
source "$(dirname "$0")/common.sh"
# What the last run by hand has shown is docs/results/trust/soak.txt, a copy of what the program writes here:
result=$build/soak.txt
number='^[0-9]+(\.[0-9]+)?$'
case $# in
0) arguments=(--minutes 5) ;;
1 | 3)
    [[ $1 =~ $number ]] && [ "${2:---from}" = --from ] && [[ ${3:-1} =~ ^[0-9]+$ ]] || usage '[MINUTES [--from SEED]] or --seed SEED'
    arguments=(--minutes "$@")
    ;;
2)
    [ "$1" = --seed ] && [[ $2 =~ ^[0-9]+$ ]] || usage '[MINUTES [--from SEED]] or --seed SEED'
    arguments=("$@")
    ;;
*) usage '[MINUTES [--from SEED]] or --seed SEED' ;;
esac
configure -DFLOYDATTN_CUDA=OFF -DFLOYDATTN_ACL=OFF -DFLOYDATTN_CLI=OFF -DFLOYDATTN_EXAMPLES=OFF
cmake --build "$build" --parallel "$jobs" --target trust_soak | grep -Ev '^(\[[0-9]+/[0-9]+\]|ninja: )' || [ "${PIPESTATUS[0]}" -eq 0 ]

FLOYDATTN_COMMIT=$(git describe --always --dirty 2>/dev/null || echo unknown)
export FLOYDATTN_COMMIT
"$build/tests/trust/trust_soak" "${arguments[@]}" | tee "$result" || fail 'see above, with the seed that repeats it'
say "every result within its tolerance, and memory flat; the result is in $result"
