#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The tests of numbers and refusals under clang's UndefinedBehaviorSanitizer, with groups that gcc's lacks.
# needs: clang
# shellcheck source=tests/trust/common.sh
source "$(dirname "$0")/common.sh"
# Beyond gcc's: conversions of floating-point values out of range, division by zero, an offset to a null pointer,
# and integers that change their value or sign unseen. Division by zero in floating point has a value, and is used.
# Unsigned arithmetic wraps by definition, and hashes and ranges of addresses want it.
groups=undefined,float-cast-overflow,integer-divide-by-zero,bounds,local-bounds,nullability,implicit-integer-truncation
configure -DFLOYDATTN_SANITIZE=$groups -DCMAKE_BUILD_TYPE=Debug -DCMAKE_{C,CXX}_FLAGS=-O1 \
    -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ -DFLOYDATTN_CUDA=OFF
compile --target tests/{kernel,native,acl,aclnn}/all
run_tests -R '^(kernel|native\.|acl_|aclnn\.)' -LE 'slow|long' \
    -E '(^|\.)(bits|score_bits|isa|races|fork|signals|example_.*)$|\.portable$' "$@"
say 'nothing undefined, and no value lost in a conversion'
