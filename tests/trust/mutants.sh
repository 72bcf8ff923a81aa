#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Breaks the source in some 150 places, one at a time: the tests have to notice each (NAME...: only those; --help says more).
# needs: libcmocka-dev libjansson-dev python3-numpy python3-pytest python3-hypothesis
# shellcheck source=tests/trust/common.sh
source "$(dirname "$0")/common.sh"
exec /usr/bin/python3 -B tests/trust/mutants.py --build "$build" --workers "$jobs" "$@"
