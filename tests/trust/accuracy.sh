#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Errors against fp64 over all kinds of inputs, beside PyTorch's; --update keeps the table in docs/results/trust.
# shellcheck source=tests/trust/common.sh
source "$(dirname "$0")/common.sh"
kept=docs/results/trust/accuracy.md
case "$*" in '' | --update | --without-torch) ;; *) usage '[--update | --without-torch]' ;; esac

python=/usr/bin/python3
for venv in build/python-venv build/bench-venv; do
    if [ -x "$venv/bin/python" ] && "$venv/bin/python" -c 'import torch' 2>/dev/null; then python=$venv/bin/python; fi
done
torch=$("$python" -c 'import torch; print(torch.__version__)' 2>/dev/null) || torch=none
[ "$torch" != none ] || [ "$*" = --without-torch ] ||
    fail 'no PyTorch in build/python-venv (./run test python makes it); --without-torch leaves its columns empty'
mkdir -p "$build"
table=$build/table
configure_or_share -DFLOYDATTN_CUDA=OFF -DFLOYDATTN_CLI=OFF -DFLOYDATTN_ACL=OFF -DFLOYDATTN_EXAMPLES=OFF
compile --target floydattn_shared
export FLOYDATTN_TEST_LIBRARY=$PWD/$build/lib/libfloydattn.so
"$python" -B tests/trust/accuracy.py >"$table" || fail 'a rule is broken (see above)'
if [ "${1:-}" = --update ]; then
    mkdir -p "${kept%/*}"
    {
        cat <<'END'
# Errors

`./run test accuracy --update` wrote this. Each cell is the worst of y, dq, dk1, dv1, dk2 and dv2, which it names. *Share of the bound*:
of half an ulp of the output and 16 units in the last place of fp32 (fp64) of the sum of the magnitudes of an element's terms; 1 may not
be exceeded. *Error*: the root mean square error against fp64 over the root mean square of the fp64 values (over 1, where they are all 0),
ours, that of a plain implementation that rounds to the operands' type where PyTorch would, and that of PyTorch's einsums in the operands'
type. *Mean* and *RMS*: our mean relative error and root mean square error over theirs, element by element where all are finite; in fp16
and bf16 1.01 may not be exceeded. Where softmax has one weight of 1 and gradients of almost 0 (means to 100), relative errors are chance;
PyTorch's fp16 scores overflow there, and none of its values is a number: "-".

END
        echo "PyTorch $torch, $(describe)"
        echo
        cat "$table"
    } >"$kept"
    say "kept in $kept"
else
    cat "$table"
fi
say "every rule holds in each of $(($(wc -l <"$table") - 2)) rows"
