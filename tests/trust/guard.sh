#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every tensor and the workspace against pages that fault, with all kernels that run here: not one byte outside.
# shellcheck source=tests/trust/common.sh
source "$(dirname "$0")/common.sh"
if [ $# -gt 1 ] || ! [[ ${1:-1} =~ ^[0-9]+$ ]]; then usage '[SEED]: where the draws begin; 1'; fi
configure_or_share -DFLOYDATTN_CUDA=OFF -DFLOYDATTN_ACL=OFF -DFLOYDATTN_CLI=OFF -DFLOYDATTN_EXAMPLES=OFF
compile --target trust_guard

export FLOYDATTN_GUARD_SEED=${1:-1}
program=$build/tests/trust/trust_guard
mapfile -t isas < <("$program" --isas)
say "kernels: ${isas[*]}; draws from $FLOYDATTN_GUARD_SEED"
# A report stays in one piece: it comes when its program has ended.
# shellcheck disable=SC2016
printf '%s\n' "${isas[@]}" | xargs -P "$jobs" -I{} bash -c \
    'if report=$(FLOYDATTN_ISA={} "$0" 2>&1); then grep -a "no byte beyond" <<<"$report"; else printf "%s\n" "-- {}:" "$report"; exit 1; fi' \
    "$program" || fail 'see above; FAULT says which tensor, which end and which problem'
say "not one byte outside tensors and workspace is read or written: ${isas[*]}"
