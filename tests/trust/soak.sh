#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Problems drawn by chance, for as long as is asked: each is judged by the reference, and memory stays flat.
# shellcheck source=tests/trust/common.sh
source "$(dirname "$0")/common.sh"
[[ $* =~ ^([0-9.]+( --from [0-9]+)?|--seed [0-9]+)?$ ]] || usage '[MINUTES [--from SEED]] or --seed SEED'
case ${1:-} in
'') set -- --minutes 5 ;;
--seed) ;;
*) set -- --minutes "$@" ;;
esac
configure_or_share -DFLOYDATTN_CUDA=OFF -DFLOYDATTN_ACL=OFF -DFLOYDATTN_CLI=OFF -DFLOYDATTN_EXAMPLES=OFF
compile --target trust_soak
# What the last run by hand has shown is docs/results/trust/soak.txt, a copy of what the program writes here:
result=$build/soak.txt

FLOYDATTN_COMMIT=$(git describe --always --dirty 2>/dev/null || echo unknown)
# What malloc keeps for each thread would count as given out.
export FLOYDATTN_COMMIT GLIBC_TUNABLES=glibc.malloc.tcache_count=0
program=$build/tests/trust/trust_soak
if [ "$1" = --seed ]; then
    "$program" "$@" || fail 'see above'
    say 'its results are within their tolerances'
    exit
fi
"$program" "$@" | tee "$result" || fail 'see above; where a result is wrong, with the seed that repeats it'
say "every result within its tolerance, and memory flat; the result is in $result"
