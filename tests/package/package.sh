#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs a build, moves the prefix, and uses it as strangers do: by pkg-config, by CMake, by the vendor's
# link line; in C and C++; shared and static. Then takes it away again and looks for what is left.
# usage: package.sh SOURCE BUILD LIBDIR; CC, CXX and CMAKE name the tools
set -eu
source=$1 build=$2 lib=$3
here=$source/tests/package
: "${CC:=cc}" "${CXX:=c++}" "${CMAKE:=cmake}"
unset DESTDIR LD_LIBRARY_PATH CFLAGS CXXFLAGS LDFLAGS PKG_CONFIG_PATH PKG_CONFIG_LIBDIR

scratch=$(mktemp -d)
# An install writes its list into the build directory: the user's own comes back at the end.
mkdir "$scratch/kept"
for list in install_manifest.txt install_directories.txt; do
    [ ! -f "$build/$list" ] || cp -p "$build/$list" "$scratch/kept"
done
clean_up() {
    rm -f "$build/install_manifest.txt" "$build/install_directories.txt"
    cp -p "$scratch/kept/"* "$build" 2>/dev/null || :
    rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

step() { printf '%s\n' "-- $*"; }
fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}
soname() { readelf -d "$1" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p'; }

step "install into a clean prefix, and move it"
"$CMAKE" --install "$build" --prefix "$scratch/first" >/dev/null
prefix=$scratch/prefix
mv "$scratch/first" "$prefix"
cann=$prefix/$lib/floydattn/cann
(cd "$prefix" && find . ! -type d | sort)
for file in include/floydattn.h "$lib/libfloydattn.so" "$lib/libfloydattn.a" "$lib/pkgconfig/floydattn.pc" \
    "$lib/cmake/floydattn/floydattnConfig.cmake"; do
    [ -e "$prefix/$file" ] || fail "$file is missing"
done
[ "$(soname "$prefix/$lib/libfloydattn.so")" = libfloydattn.so.0 ] || fail "the soname is not libfloydattn.so.0"
if (cd "$prefix" && find . ! -type d ! -path "./$lib/floydattn/cann/*" | grep -E '/(acl|libacl|libopapi|libnnopbase|libcust)'); then
    fail "a name of the vendor's lies outside $lib/floydattn/cann"
fi
if grep -rlF -e "$scratch" -e "$source/" "$prefix/include" "$prefix/$lib/pkgconfig" "$prefix/$lib/cmake"; then
    fail "a file of the package names a place on this machine"
fi

if [ -x "$prefix/bin/floydattn" ]; then
    step "the command"
    "$prefix/bin/floydattn" --version || "$prefix/bin/floydattn" info
fi

step "pkg-config, shared and static, C and C++"
export PKG_CONFIG_PATH="$prefix/$lib/pkgconfig"
cd "$scratch"
# The answers of pkg-config are lists of words.
# shellcheck disable=SC2046
{
    $CC -std=c11 "$here/consumer/program.c" -o pc-c $(pkg-config --cflags --libs floydattn) "-Wl,-rpath,$prefix/$lib"
    $CXX -std=c++11 "$here/consumer/program.cpp" -o pc-cpp $(pkg-config --cflags --libs floydattn) "-Wl,-rpath,$prefix/$lib"
    $CC -std=c11 "$here/consumer/program.c" -o pc-static -static $(pkg-config --cflags --static --libs floydattn)
    $CXX -std=c++11 "$here/consumer/program.cpp" -o pc-static-cpp -static $(pkg-config --cflags --static --libs floydattn)
}
for program in pc-c pc-cpp pc-static pc-static-cpp; do "./$program"; done

step "CMake's find_package, shared and static, C and C++"
"$CMAKE" -S "$here/consumer" -B consumer -DCMAKE_PREFIX_PATH="$prefix" --log-level=WARNING
"$CMAKE" --build consumer >/dev/null
for program in c cpp c-static cpp-static; do "consumer/$program"; done

if [ -e "$prefix/$lib/libfloydattn_cuda.so" ]; then
    step "the library for GPUs, by both ways"
    [ "$(soname "$prefix/$lib/libfloydattn_cuda.so")" = libfloydattn_cuda.so.0 ] || fail "the soname is not libfloydattn_cuda.so.0"
    # shellcheck disable=SC2046
    $CC -std=c11 "$here/consumer/cuda.c" -o pc-cuda $(pkg-config --cflags --libs floydattn_cuda) "-Wl,-rpath,$prefix/$lib"
    ./pc-cuda
    consumer/cuda
fi

if [ -d "$cann" ]; then
    step "the vendor's link line: one -L and one rpath"
    include="-I$cann/include -I$cann/include/aclnn -I$cann/include/aclnnop"
    names="-lascendcl -lacl_rt -lnnopbase -lopapi -lopapi_math -lopapi_transformer -lcust_opapi"
    for names in "$names" "-lascendcl -lnnopbase -lopapi_math -lopapi_transformer" "-lascendcl -lnnopbase -lopapi"; do
        # shellcheck disable=SC2086
        {
            $CC -std=c11 $include "$here/vendor.c" -o vendor "-L$cann/lib64" "-Wl,-rpath,$cann/lib64" $names
            $CXX -std=c++11 -x c++ $include "$here/vendor.c" -o vendor-cpp "-L$cann/lib64" "-Wl,-rpath,$cann/lib64" $names
        }
        ./vendor
        ./vendor-cpp
    done
    # shellcheck disable=SC2086
    {
        $CC -std=c11 -O2 -c -I"$source/reference" "$source/examples/aclnn/check.c" "$source/reference/floyd_reference.c"
        for language in c cpp; do
            compiler="$CC -std=c11"
            [ $language = c ] || compiler="$CXX -std=c++11"
            $compiler $include "$source/examples/aclnn/fused_floyd_attention_grad.$language" check.o floyd_reference.o \
                -o example "-L$cann/lib64" "-Wl,-rpath,$cann/lib64" -lascendcl -lnnopbase -lopapi -lm
            ./example
        done
    }
    [ "$(soname "$cann/lib64/libascendcl.so")" = libfloydattn_acl.so.0 ] || fail "the vendor's names are not one library"
fi

step "uninstall leaves nothing, and touches nothing else"
for place in "/opt/floyd and more" /usr/local; do
    # Directories that were there before, empty ones too, as a new system's /usr/local has them.
    stage=$scratch/stage$place
    mkdir -p "$stage/bin" "$stage/lib" "$stage/share/man"
    : >"$stage/bin/other"
    (cd "$scratch/stage" && find . | sort) >"$scratch/before"
    for _ in first again; do DESTDIR=$scratch/stage "$CMAKE" --install "$build" --prefix "$place" >/dev/null; done
    DESTDIR=$scratch/stage "$CMAKE" --build "$build" --target uninstall >/dev/null
    (cd "$scratch/stage" && find . | sort) | diff "$scratch/before" - || fail "< was there before, > was left behind"
done
mkdir "$scratch/new"
"$CMAKE" --install "$build" --prefix "$scratch/new/place" >/dev/null
"$CMAKE" --build "$build" --target uninstall >/dev/null
rmdir "$scratch/new" || fail "a prefix that was made is left behind"
step "the package is whole"
