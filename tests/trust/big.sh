#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Tensors of more than 2^31 elements, axes of 2^20, strides beyond 32 bits. Needs 16 GiB of free memory and minutes.
# shellcheck source=tests/trust/common.sh
source "$(dirname "$0")/common.sh"
tests=$(sed -n 's/^static void \(test_[a-z_]*\)(.*/\1/p' tests/trust/big.c)
if [ $# -gt 1 ] || { [ $# -eq 1 ] && ! grep -qx -e "$1" <<<"$tests"; }; then usage "[TEST]: all, or one of" "$tests"; fi
configure_or_share -DFLOYDATTN_CUDA=OFF -DFLOYDATTN_ACL=OFF -DFLOYDATTN_CLI=OFF -DFLOYDATTN_EXAMPLES=OFF
compile --target trust_big
# What the last run by hand has shown is docs/results/trust/big.txt, a copy of what the program writes here:
result=$build/big.txt

FLOYDATTN_COMMIT=$(git describe --always --dirty 2>/dev/null || echo unknown)
FLOYDATTN_BIG_ONLY=${1:-}
export FLOYDATTN_COMMIT FLOYDATTN_BIG_ONLY
"$build/tests/trust/trust_big" | tee "$result" || case ${PIPESTATUS[0]} in
3) fail 'there is not enough free memory: nothing was shown' ;;
*) fail 'see above' ;;
esac
[ $# -eq 0 ] || { say "$1 alone has passed"; exit; }
say "nothing is lost beyond 31 or 32 bits; the result is in $result"
