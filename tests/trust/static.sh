#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# clang-tidy, gcc's analyser (but for the kernels) and cppcheck find nothing in src and reference that is not explained.
# needs: clang-tidy cppcheck
# shellcheck source=tests/trust/common.sh
source "$(dirname "$0")/common.sh"
[ $# -eq 0 ] || usage '' # clang-tidy: .clang-tidy and NOLINT hold the reasons; the others: static.txt
static() { PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 tests/trust/static.py "$@" "$build"; }

mkdir -p "$build"
configure -DFLOYDATTN_CUDA=OFF -DFLOYDATTN_EXAMPLES=OFF -DCMAKE_BUILD_TYPE=Debug >"$build/configure.log" ||
    { cat "$build/configure.log"; fail configure; }
static select
known=tests/trust/static.txt
failed=
for tool in clang-tidy gcc cppcheck; do
    static "$tool" | grep . >"$build/$tool.txt" || [ "${PIPESTATUS[0]}" -eq 0 ] || fail "$tool"
    sed -n "s/^$tool //p" "$known" | sed 's/ *# .*//' | sort >"$build/$tool.known"
    sort -o "$build/$tool.txt" "$build/$tool.txt"
    comm -13 "$build/$tool.known" "$build/$tool.txt" >"$build/$tool.new"
    comm -23 "$build/$tool.known" "$build/$tool.txt" | sed "s/^/$tool finds no longer: /"
    if [ -s "$build/$tool.new" ]; then
        sed "s/^/$tool: /" "$build/$tool.new"
        failed="$failed $tool"
    fi
done
[ -z "$failed" ] || fail "$failed: $build/TOOL.log has lines and paths"
say "$(grep -c '"file"' "$build/analysed/compile_commands.json") compilations: nothing new from clang-tidy, gcc $(gcc -dumpversion) and cppcheck;" \
    "$(grep -vc '^#' "$known") explained in $known, $(git grep -c NOLINT -- src reference | awk -F: '{ n += $2 } END { print n + 0 }') beside NOLINT"
