#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# One hash per output everywhere: each kernel here, gcc and clang, aarch64 under qemu, and the kept table.
# needs: clang gcc-aarch64-linux-gnu g++-aarch64-linux-gnu qemu-user
# shellcheck source=tests/trust/common.sh
source "$(dirname "$0")/common.sh"
kept=tests/bits/floyd_bits.txt
case "${1:-}" in --update) update=1 && shift ;; esac
[ $# -eq 0 ] || [ "$1" = -- ] || usage '[--update] [-- COMMAND...]...  (further builds of floyd_bits)'

floyd_bits() { # floyd_bits DIRECTORY OPTION...: that program alone
    build=build-bits/$1
    shift
    configure -DFLOYDATTN_CUDA=OFF -DFLOYDATTN_CLI=OFF -DFLOYDATTN_ACL=OFF -DFLOYDATTN_EXAMPLES=OFF "$@"
    compile --target floyd_bits
}
configure_or_share -DFLOYDATTN_CUDA=OFF
compile --target floyd_bits
own=$build/tests/bits/floyd_bits
floyd_bits clang -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++
floyd_bits aarch64 --toolchain cmake/aarch64-linux-gnu.cmake
if [ -n "${update:-}" ]; then
    "$own" | tail -n +2 >"$kept"
    say "kept in $kept"
fi
bash tests/bits/same_bits.sh "$own" -- build-bits/clang/tests/bits/floyd_bits \
    -- qemu-aarch64 -L /usr/aarch64-linux-gnu build-bits/aarch64/tests/bits/floyd_bits "$@"
say "the same bits everywhere, of $(wc -l <"$kept") problems"
