#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The tests in C under valgrind's memcheck: the optimized kernels, reads of what nobody wrote, leaks. By hand.
# needs: valgrind
# shellcheck source=tests/trust/common.sh
source "$(dirname "$0")/common.sh"
# CMake puts an emulator before every program that is a test. What is still reachable is the idle threads' and libc's.
memcheck='valgrind;--quiet;--error-exitcode=99;--leak-check=full;--errors-for-leak-kinds=definite,indirect,possible'
memcheck+=";--fair-sched=yes;--trace-children=no;--suppressions=$PWD/tests/trust/valgrind.supp"
export FLOYDATTN_ISA=avx2 # valgrind knows no AVX-512
configure -DFLOYDATTN_CUDA=OFF "-DCMAKE_CROSSCOMPILING_EMULATOR=$memcheck"
compile --target all
# Left out: other instruction sets and those that compare them; full sizes; what stresses threads, forks and timers, which
# valgrind runs one at a time; what measures memory; and the program whose own operator new[] valgrind's takes the place of.
run_tests -R '^(kernel_avx2|native\.|acl_|aclnn\.)' -LE 'slow|long' \
    -E '(^|\.|_)(bits|score_bits|isa|races|fork|signals|concurrency|resident_memory|unknown_isa|cpp|example_.*)$|\.portable$' "$@"
say 'no read of what nobody wrote, no access outside a block, nothing lost'
