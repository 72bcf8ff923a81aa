#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What compiled programs rely on is what tests/trust/abi.txt says: symbols, layouts, values. --update rewrites that.
# needs: clang python3-clang binutils
# shellcheck source=tests/trust/common.sh
source "$(dirname "$0")/common.sh"
list=tests/trust/abi.txt
update=
case ${1:-} in
'') ;;
--update) update=1 ;;
*) usage '[--update]' ;;
esac
mkdir -p "$build"
: >"$build/make.log"
abi() { PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 tests/trust/abi.py "$@"; }

# libraries: those of build/ where there is one, else of a build that is quickly made; sets built
libraries() {
    local targets=(floydattn_shared floydattn_static floydattn_acl)
    built=build
    if [ "$(sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' build/CMakeCache.txt 2>/dev/null)" != "$PWD" ]; then
        built=$build/build
        cmake -S . -B "$built" -G Ninja --log-level=WARNING -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS=-Og \
            -DFLOYDATTN_TESTS=OFF -DFLOYDATTN_CLI=OFF -DFLOYDATTN_EXAMPLES=OFF -DFLOYDATTN_CUDA=OFF >"$build/make.log"
    elif [ -e build/lib/libfloydattn_cuda.so ]; then
        targets+=(floydattn_cuda)
    fi
    cmake --build "$built" --parallel "$jobs" --target "${targets[@]}" >>"$build/make.log" || { cat "$build/make.log"; fail 'the libraries'; }
}

# compile_alone HEADER: in every language, by both compilers; the vendor's headers find one another as in its own toolkit
compile_alone() {
    local compiler standard text="#include \"${1#include/}\""$'\n''extern int not_empty;'
    for compiler in gcc clang; do
        for standard in c11 c17 c++11 c++20; do
            case $standard in c++*) set -- "$1" -xc++ ;; *) set -- "$1" -xc -Wstrict-prototypes ;; esac
            "$compiler" "${@:2}" "-std=$standard" -Wall -Wextra -Wpedantic -Wshadow -Wundef -Werror -fsyntax-only \
                -Iinclude -Iinclude/cann - <<<"$text" || fail "$1 alone does not compile: $compiler -std=$standard"
        done
    done
}

mapfile -t headers < <(find include -name '*.h' | sort)
for header in "${headers[@]}"; do compile_alone "$header"; done
say "${#headers[@]} headers, each alone: C11, C17, C++11, C++20, by gcc and clang"

libraries
abi list "$built" >"$build/abi.txt" || fail 'what the libraries export, what the headers declare and what abi.py can list differ'
if [ -n "$update" ]; then
    diff "$list" "$build/abi.txt" || cp "$build/abi.txt" "$list"
fi
diff "$list" "$build/abi.txt" || fail "< is $list, > is here. If that is meant: ./run test abi --update, and look at it"

# The list is libclang's reading. Other compilers have to agree, and to find every function under its own name.
abi program >"$build/agree.c"
for language in 'gcc -std=c11' 'clang -std=c17' 'g++ -xc++ -std=c++11' 'clang++ -xc++ -std=c++20'; do
    # shellcheck disable=SC2086
    ${language} -Wall -Wextra -Wpedantic -Wshadow -Werror -Iinclude -Iinclude/cann "$build/agree.c" -o "$build/agree" \
        -L"$built/lib" -lfloydattn_acl -lfloydattn -Wl,--no-undefined || fail "$language does not agree"
    LD_LIBRARY_PATH=$built/lib "$build/agree" || fail "$language: a program with every function does not start"
done

if readelf -d "$built"/lib/libfloydattn*.so | grep 'NEEDED.*lib\(cuda\|cudart\)\.'; then fail 'a library needs CUDA to be loaded'; fi
if nm --defined-only --extern-only --format=posix "$built/lib/libfloydattn.a" | awk 'NF > 1 && $1 !~ /^floyd_/' | grep .; then
    fail 'the static library defines names that do not begin with floyd_'
fi
count() { grep -cE "$1" "$list"; }
say "$(count '^[^# ].*\)$') functions and function types, $(count 'bytes, aligned') structures with $(count '^    at ') fields," \
    "$(count ' = -?[0-9]+$') constants: as before; nothing else is exported by $built/lib"
