#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 16 threads, 16 streams each, 3,000 works on every stream, 1,000 of them operators, and the native calls; then less of
# it under ThreadSanitizer.
# shellcheck source=tests/trust/common.sh
source "$(dirname "$0")/common.sh"
[ $# -le 1 ] || usage '[SEED]'
seed=${1:-1} works=${RACES_WORKS:-3000}
export FLOYDATTN_NUM_THREADS=3

# races THREADS STREAMS WORKS ROUNDS -- THREADS CALLS ROUNDS
races() {
    compile --target test_aclnn_races test_races
    "$build/tests/aclnn/test_aclnn_races" "$1" "$2" "$3" "$4" "$seed" || fail "the vendor's surface, in $build, seed $seed"
    "$build/tests/native/test_races" "$6" "$7" "$8" "$seed" || fail "the native calls, in $build, seed $seed"
}

say 'plainly'
configure_or_share -DFLOYDATTN_CUDA=OFF
races "${RACES_THREADS:-16}" 16 "$works" 4 -- 16 $((works / 10)) 4

say 'under ThreadSanitizer'
build="build-tsan" # as ./run test tsan has it
configure -DFLOYDATTN_SANITIZE=thread -DCMAKE_BUILD_TYPE=Debug -DCMAKE_{C,CXX}_FLAGS=-O2 \
    -DFLOYDATTN_REFERENCE_OPTIONS=-fno-sanitize=all -DFLOYDATTN_CUDA=OFF
FLOYDATTN_NUM_THREADS=2 races 16 4 12 4 -- 6 16 2
say 'the bits of one thread alone, nobody waited for ever, nothing grew, no data race'
