#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The tests that have threads, under ThreadSanitizer.
# shellcheck source=tests/trust/common.sh
source "$(dirname "$0")/common.sh"
configure -DFLOYDATTN_SANITIZE=thread -DCMAKE_BUILD_TYPE=Debug -DCMAKE_{C,CXX}_FLAGS=-O2 \
    -DFLOYDATTN_REFERENCE_OPTIONS=-fno-sanitize=all -DFLOYDATTN_CUDA=OFF
compile --target tests/{native,acl,aclnn,examples}/all examples/all
threaded='^(acl_|examples\.|aclnn\.(threads|races|fork|phase_two|environment|cpp|shortage|example_)'
threaded+='|native\.(concurrency|races|fork|signals|progress|parallel|threads_fail|split|sizes|masks|layouts|empty|scores|dropout)$)'
run_tests -R "$threaded" -LE 'slow|long' "$@"
say 'no data race, no lock in the wrong order, nothing lost'
