#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# How much of the source the tests reach, lines and branches, room by room.
# needs: libcmocka-dev libjansson-dev python3-numpy python3-pytest python3-hypothesis
# shellcheck source=tests/trust/common.sh
source "$(dirname "$0")/common.sh"
[ $# -eq 0 ] || usage ''

# Of the tests, those that reach something: left out is what goes the others' ways again with other numbers.
reaching='^(kernel_(portable|avx2|avx512)_f(32|64)$|native\.|acl_|aclnn\.|cli$|property\.refusals)'
repeating='\.portable$|^native\.(accuracy|bits|score_bits|differences|reference|resident_memory|races|signals|concurrency)$|^aclnn\.(results|threads|example)'

mkdir -p "$build"
gcc -c -fPIC -O1 -Wall -Wextra -DJOINS tests/trust/coverage/leave.c -o "$build/joins.o"
gcc -shared -fPIC -O1 -Wall -Wextra tests/trust/coverage/leave.c -o "$build/leave.so"

# Threads count together, so counters are atomic; on one processor, which each test keeps to, that costs least.
# More optimization would put branches on lines that have none.
configure -DCMAKE_BUILD_TYPE=Debug -DFLOYDATTN_CUDA=OFF -DCMAKE_C_FLAGS='-Og --coverage -fprofile-update=atomic' -DCMAKE_CXX_FLAGS=-O1 \
    -DCMAKE_{EXE,SHARED}_LINKER_FLAGS="--coverage $PWD/$build/joins.o" \
    -DFLOYDATTN_{REFERENCE,SUPPORT}_OPTIONS='-O2;-fno-profile-arcs;-fno-test-coverage'
cmake --build "$build" --parallel "$jobs" --target floydattn_cli tests/{kernel,native,acl,aclnn,cli}/all |
    grep -Ev '^(\[[0-9]+/[0-9]+\]|ninja: )' || [ "${PIPESTATUS[0]}" -eq 0 ]
find "$build" -name '*.gcda' -delete
# Counting takes its time.
find "$build" -name CTestTestfile.cmake -exec sed -i 's/ TIMEOUT "[0-9]*"/ PROCESSOR_AFFINITY "ON" TIMEOUT "1500"/' {} +
LD_PRELOAD=$PWD/$build/leave.so ctest --test-dir "$build" --parallel "$jobs" \
    -R "$reaching" -E "$repeating" -LE 'slow|long' >"$build/ctest.log" 2>&1 ||
    { grep '\*\*\*[^S]' "$build/ctest.log" || :; fail "tests fail: see $build/ctest.log"; } # not "Skipped"

python3 -B tests/trust/coverage/rooms.py "$build"
