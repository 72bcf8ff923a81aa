#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Interrupts of the command at any time and at every call on files, storms of them, cancelled calls, interrupted waits.
# shellcheck source=tests/trust/common.sh
source "$(dirname "$0")/common.sh"
[ $# -le 2 ] || usage '[RUNS [SEED]]: how often each kind of run is interrupted at random'
export FLOYDATTN_SIGNAL_RUNS=${1:-10} FLOYDATTN_SIGNAL_SEED=${2:-1}
configure_or_share -DFLOYDATTN_CUDA=OFF
compile --target all
run_tests -R '^(native\.(signals|progress)|acl_signals|cli\.signals)$'
say "one status, one message, the old result or the new one; no false error, no bit changed (seed $FLOYDATTN_SIGNAL_SEED)"
