#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Tensors of more than 2^31 elements, axes of 2^20, strides beyond 32 bits. Needs 16 GiB of free memory and minutes.
# shellcheck source=tests/trust/common.sh
source "$(dirname "$0")/common.sh"
# What the last run by hand has shown is docs/results/trust/big.txt, a copy of what the program writes here:
result=$build/big.txt
case ${1:-} in '' | test_*) ;; *) usage '[TEST]: such as test_strides; all of them' ;; esac
configure_or_share -DFLOYDATTN_CUDA=OFF -DFLOYDATTN_ACL=OFF -DFLOYDATTN_CLI=OFF -DFLOYDATTN_EXAMPLES=OFF
compile --target trust_big

FLOYDATTN_COMMIT=$(git describe --always --dirty 2>/dev/null || echo unknown)
FLOYDATTN_BIG_ONLY=${1:-}
export FLOYDATTN_COMMIT FLOYDATTN_BIG_ONLY
"$build/tests/trust/trust_big" | tee "$result" || case ${PIPESTATUS[0]} in
3) fail 'there is not enough free memory: nothing was shown' ;;
*) fail 'see above' ;;
esac
say "nothing is lost beyond 31 or 32 bits; the result is in $result"
