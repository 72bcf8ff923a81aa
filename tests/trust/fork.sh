#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Processes that fork: after use, in the middle of a call, from callbacks, from many threads, in a loop; and in Python.
# shellcheck source=tests/trust/common.sh
source "$(dirname "$0")/common.sh"
[ $# -le 1 ] || usage '[TIMES]'
times=${1:-${FORK_TIMES:-3}}
configure_or_share -DFLOYDATTN_CUDA=OFF
compile --target all
say "every test that forks, $times times"
run_tests -R '^(native\.(fork|concurrency)|acl_fork|aclnn\.fork)$' --repeat "until-fail:$times"
say 'the Python package'
cat >"$build/fork.py" <<'END'
"""A child of a process that has computed, in the end and in a loop; with threads that compute meanwhile."""
import os
import threading

import numpy as np

from floydattn.numpy import forward

random = np.random.default_rng(1)
shapes = [(2, 2, 24, 24, 16), (2, 2, 24, 48, 16), (2, 2, 24, 48, 16), (2, 2, 48, 24, 16), (2, 2, 48, 24, 16)]
operands = [random.standard_normal(shape, dtype=np.float32) for shape in shapes]


def values(threads):
    return [x.tobytes() for x in forward(*operands, scale=0.2, threads=threads)]


wanted, stop, wrong = values(1), threading.Event(), []


def compute():
    while not stop.is_set():
        if values(3) != wanted:
            wrong.append("a thread of the parent")


others = [threading.Thread(target=compute) for _ in range(3)]
for thread in others:
    thread.start()
for i in range(20):
    child = os.fork()
    if child == 0:
        os._exit(values(1 + i % 4) != wanted)
    if os.waitpid(child, 0)[1] != 0:
        wrong.append("a child")
stop.set()
for thread in others:
    thread.join()
assert not wrong and values(3) == wanted, wrong
END
PYTHONPATH=python FLOYDATTN_LIBRARY=$PWD/$build/lib/libfloydattn.so timeout 120 /usr/bin/python3 -B "$build/fork.py" ||
    fail 'the Python package after fork'
say 'right bits or a status in every child and every parent, and nobody hung'
