#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The tests that have threads, under ThreadSanitizer.
# shellcheck source=tests/trust/common.sh
source "$(dirname "$0")/common.sh"
configure -DFLOYDATTN_SANITIZE=thread -DCMAKE_BUILD_TYPE=Debug -DCMAKE_{C,CXX}_FLAGS=-O2 -DFLOYDATTN_CUDA=OFF
compile --target all
run_tests -R '^(acl_|aclnn\.(threads|races|fork|phase_two|environment|cpp|shortage|example_)|native\.(concurrency|races|fork|signals|progress|parallel|threads_fail|split|sizes)$|examples\.)' \
    -LE 'slow|long' "$@"
say 'no data race, no lock in the wrong order, nothing lost'
