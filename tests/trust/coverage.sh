#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# How much of the source the tests reach, lines and branches, room by room.
# needs: libcmocka-dev libjansson-dev python3-numpy python3-pytest python3-hypothesis
# shellcheck source=tests/trust/common.sh
source "$(dirname "$0")/common.sh"
[ $# -eq 0 ] || usage ''

# Of the tests, those that reach something: left out is what goes the others' ways again with other numbers.
reaching='^(kernel_(portable|avx2|avx512)_f(32|64)$|native\.|acl_|aclnn\.|cli$|property\.refusals)'
repeating='\.portable$|^native\.(accuracy|bits|score_bits|differences|reference|resident_memory)$|^aclnn\.(results|example)'

mkdir -p "$build"
gcc -c -fPIC -O1 -Wall -Wextra -DJOINS tests/trust/coverage/leave.c -o "$build/joins.o"
gcc -shared -fPIC -O1 -Wall -Wextra tests/trust/coverage/leave.c -o "$build/leave.so"

# Threads count together, so counters are atomic; on one processor, which every ctest below keeps to, that costs least.
# More optimization would put branches on lines that have none.
configure -DCMAKE_BUILD_TYPE=Debug -DFLOYDATTN_CUDA=OFF -DCMAKE_C_FLAGS='-Og --coverage -fprofile-update=atomic' -DCMAKE_CXX_FLAGS=-O1 \
    -DCMAKE_{EXE,SHARED}_LINKER_FLAGS="--coverage $PWD/$build/joins.o" \
    -DFLOYDATTN_{REFERENCE,SUPPORT}_OPTIONS='-O2;-fno-profile-arcs;-fno-test-coverage'
cmake --build "$build" --parallel "$jobs" --target floydattn_cli tests/{kernel,native,acl,aclnn,cli}/all |
    grep -Ev '^(\[[0-9]+/[0-9]+\]|ninja: )' || [ "${PIPESTATUS[0]}" -eq 0 ]
find "$build" -name '*.gcda' -delete
find "$build" -name CTestTestfile.cmake -exec sed -i 's/ TIMEOUT "300"/ TIMEOUT "1500"/' {} + # counting takes its time

processors=()
for ((cpu = 0; cpu < 4096 && ${#processors[@]} < jobs; cpu++)); do
    ! taskset -c "$cpu" true 2>/dev/null || processors+=("$cpu")
done
shards=()
for i in "${!processors[@]}"; do
    LD_PRELOAD=$PWD/$build/leave.so taskset -c "${processors[i]}" ctest --test-dir "$build" \
        -R "$reaching" -E "$repeating" -LE 'slow|long' -I "$((i + 1)),,${#processors[@]}" >"$build/shard-$i.log" 2>&1 &
    shards+=("$!")
done
status=0
for shard in "${shards[@]}"; do wait "$shard" || status=1; done
grep -h '\*\*\*[^S]' "$build"/shard-*.log && fail 'tests fail' # not "Skipped"
[ "$status" -eq 0 ] || fail "ctest: see $build/shard-*.log"

python3 -B tests/trust/coverage/rooms.py "$build"
