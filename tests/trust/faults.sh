#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every allocation, thread, file and write refused in turn: a message each time, nothing lost, nothing half done.
# shellcheck source=tests/trust/common.sh
source "$(dirname "$0")/common.sh"
[ $# -eq 0 ] || usage ''
configure_or_share -DFLOYDATTN_CUDA=OFF
compile --target floydattn_cli floydattn_acl floyd_refuse test_threads_fail test_acl_shortage test_aclnn_shortage

# The library can run out of threads alone: it calls nothing that gives memory or opens a file.
library=$build/lib/libfloydattn.so
if nm -D --undefined-only "$library" |
    grep -wE '(m|c|re|aligned_|p?v)alloc|__sched_cpualloc|reallocarray|(posix_)?memalign|str(n)?dup|v?asprintf|mmap|(f|mk[a-z]*)?open(at)?|fopen(64)?|write'; then
    fail "$library calls what may fail in ways that these checks do not know"
fi
# Neither library ends the process, prints, or handles signals.
ends='_*(abort|assert_fail|q?exit|raise|kill|sigaction|signal|longjmp|system|exec[a-z]*|dlopen)'
prints='_*(v?[fd]?printf(_chk)?|f?putc|f?puts|putchar|perror|p?write|fwrite|v?syslog)'
for other in "$library" "$build/lib/libfloydattn_acl.so"; do
    called=$(nm -D --undefined-only --without-symbol-versions "$other" | awk '{ print $2 }')
    [ -n "$called" ] || fail "$other says nothing of what it calls"
    if grep -ixE "$ends|$prints" <<<"$called"; then
        fail "$other calls what ends a process, prints or handles signals"
    fi
done
run_tests -R '^(native\.threads_fail|acl_shortage|aclnn\.shortage)$' --quiet
/usr/bin/python3 -B tests/trust/faults/command.py "$build/bin/floydattn" "$build/tests/cli/floyd_refuse.so"
say 'each failure has a status and a message, leaves what was there, and nothing else'
