#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The tests under AddressSanitizer, with leaks, and UndefinedBehaviorSanitizer.
# shellcheck source=tests/trust/common.sh
source "$(dirname "$0")/common.sh"
# At -O3 the instrumented kernels take ten minutes to compile; what they access is the same. What only computes what is
# wanted would take most of the time.
configure -DFLOYDATTN_SANITIZE=address,undefined -DCMAKE_BUILD_TYPE=Debug -DCMAKE_{C,CXX}_FLAGS=-Og \
    -DFLOYDATTN_REFERENCE_OPTIONS='-O2;-fno-sanitize=all' -DFLOYDATTN_SUPPORT_OPTIONS=-O2
compile --target all
# Left out is what goes the others' ways again to compare bits, with the portable kernel, by chance, or at full size.
run_tests -LE 'slow|long' -E '(^|\.)(bits|score_bits|isa|example_.*)$|^property\.accuracy$|\.portable$' "$@"
say 'no access outside an object, no leak, nothing undefined'
