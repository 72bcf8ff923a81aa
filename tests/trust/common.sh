# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the scripts beside this one share. Each is `./run test NAME [ARGUMENTS]`, works from the project's root, builds in
# build-NAME/, prints little, and says in its last line what it has shown; its status is 0 only then. A line
# "# needs: PACKAGE..." in it names Debian's packages beyond those of the tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
name=$(basename "$0" .sh)
build=build-$name
jobs=$(nproc)
export CTEST_OUTPUT_ON_FAILURE=1

say() { printf '== %s\n' "$*"; }
fail() {
    printf '%s: FAILED: %s\n' "$name" "$*" >&2
    exit 1
}
usage() { # usage TEXT: for wrong arguments
    printf 'usage: ./run test %s %s\n' "$name" "$*" >&2
    exit 2
}

# configure OPTION...: a build of its own, with the tests
configure() {
    cmake -S . -B "$build" -G Ninja --log-level=WARNING -Wno-dev --no-warn-unused-cli -DPython3_EXECUTABLE=/usr/bin/python3 \
        -DFLOYDATTN_TESTS=ON "$@" >/dev/null
}
# configure_or_share OPTION...: the ordinary build, where there is one with the tests, since most checks need no other
configure_or_share() {
    if [ -d build/tests/bits ] && [ "$(sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' build/CMakeCache.txt)" = "$PWD" ]; then
        build=build
    else
        configure "$@"
    fi
}
# compile [--target TARGET...]
compile() {
    cmake --build "$build" --parallel "$jobs" "$@" | grep -Ev '^(\[[0-9]+/[0-9]+\]|ninja: )' || [ "${PIPESTATUS[0]}" -eq 0 ]
}
run_tests() { ctest --test-dir "$build" --no-tests=error --parallel "$jobs" "$@"; }

# describe: the machine, the compiler and the commit, for results that are kept in docs/results/trust/
describe() {
    printf '%s, %s processors, %s, %s, commit %s, %s\n' \
        "$(sed -n 's/^model name[^:]*: //p;T;q' /proc/cpuinfo)" "$(nproc)" "$(. /etc/os-release && echo "$PRETTY_NAME")" \
        "$(${CC:-cc} --version | head -n 1)" "$(git describe --always --dirty 2>/dev/null || echo unknown)" "$(date -u +%F)"
}
