#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What `./run test install` does inside a bare system, as its root.
# usage: bare.sh PATTERN; of the tests, or '' for all of them
set -eu
pattern=$1
source=$(cd "$(dirname "$0")/../.." && pwd)
cd "$source"

result() { printf '%s\n' "-- result: $*"; }
fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}
# Every file and directory of the system, but for what changes by itself.
system() {
    find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path "$source" \) -prune -o -printf '%y %p\n' | sort
}
version() { dpkg-query -W -f '${source:Upstream-Version}' "$1"; }
passed() { sed -n 's/^\(100% tests passed.*\)/\1/p' "$1"; }

# ---- The README's two commands, without a warning from this system's compiler ----------------------

for tool in gcc cmake git; do
    if command -v $tool >/dev/null; then fail "$tool is here: the system is not bare"; fi
done
export CFLAGS=-Werror CXXFLAGS=-Werror
./run demo
result "$(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' /etc/os-release), $(uname -m), $(cc --version | sed -n 1p), glibc $(version libc6), CMake" \
    "$(cmake --version | sed -n '1s/.* //p')"
result "  ./run demo: every warning an error, and it runs"
if [ -n "$pattern" ]; then ./run test "$pattern"; else ./run test; fi >/tmp/tests.log 2>&1 || { cat /tmp/tests.log; fail ./run test; }
result "  ./run test: $(passed /tmp/tests.log)"
unset CFLAGS CXXFLAGS
export CMAKE_GENERATOR=Ninja # what ./run installed

# ---- As the README installs it, for the whole system ------------------------------------------------

ldconfig
system >/tmp/before
cmake --install build >/tmp/install.log
ldconfig
result "  cmake --install: $(wc -l <build/install_manifest.txt) files, below /usr/local"
mkdir /tmp/use
cd /tmp/use
awk '/^```c$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$source/README.md" >program.c
# shellcheck disable=SC2046
cc -std=c11 program.c $(pkg-config --cflags --libs floydattn) -o program # the README's line
[ "$(./program)" = "done" ] || fail "the README's program"
result "  the README's program, by pkg-config: it runs"
cmake -S "$source/tests/package/consumer" -B consumer --log-level=WARNING
cmake --build consumer
for program in c cpp c-static cpp-static; do consumer/$program; done
result "  C and C++, shared and static, by find_package: they run"
cann=/usr/local/lib/floydattn/cann
cc -std=c11 -I$cann/include -I$cann/include/aclnn -I$cann/include/aclnnop "$source/tests/package/vendor.c" -o vendor \
    -L$cann/lib64 -Wl,-rpath,$cann/lib64 -lascendcl -lnnopbase -lopapi
./vendor
result "  the vendor's link line: it runs"
floydattn selftest
result "  floydattn selftest: passed"
cd "$source"
cmake --build build --target uninstall
ldconfig
system >/tmp/after
diff /tmp/before /tmp/after || fail "uninstall left or took what stands above"
result "  uninstall: every file and directory of the system is as it was before"

# ---- In a prefix that moves, more ways, and with DESTDIR --------------------------------------------

CC=cc CXX=c++ sh tests/package/package.sh "$source" "$source/build" lib
result "  tests/package/package.sh: a prefix that was moved, by all three ways, in C and C++; DESTDIR; uninstall"
