#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Bare Debian 12 and 13: the README's commands, install, use by strangers, uninstall. As root; by hand. --record keeps it.
# needs: debootstrap git
# shellcheck source=tests/trust/common.sh
source "$(dirname "$0")/common.sh"
mirror=${FLOYDATTN_MIRROR:-http://deb.debian.org/debian}
report=$build/install.txt
record=
all=
releases=()
for argument; do
    case $argument in
    --record) record=docs/results/trust/install.txt ;;
    --all) all=1 ;; # ./run test without a pattern, which brings PyTorch and takes half an hour a release
    -*) usage '[--record] [--all] [RELEASE...]' ;;
    *) releases+=("$argument") ;;
    esac
done
[ ${#releases[@]} -gt 0 ] || releases=(bookworm trixie)
[ "$(id -u)" -eq 0 ] || fail 'chroot needs root'
if [ -n "$record" ] && [ -n "$(git status --porcelain)" ]; then fail 'only what is committed can be recorded'; fi
pattern='^(kernel_|native\.(basics|arguments|accuracy|masks)$|acl_values|aclnn\.(phase_one|cpp)$|examples\.native)'
[ -z "$all" ] || pattern=

# apart COMMAND...: with mounts and processes of its own, which end with it, however it ends
apart() { unshare --mount --pid --fork --kill-child=KILL --propagation private "$@"; }

# in_chroot ROOT COMMAND...: there is what a container would have
# shellcheck disable=SC2016
in_chroot() {
    apart bash -euc '
        root=$1
        shift
        mount -t proc proc "$root/proc"
        mount -t sysfs -o ro sysfs "$root/sys"
        mount -t tmpfs tmpfs "$root/dev/shm"
        mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
        mount --bind "$root/dev/pts/ptmx" "$root/dev/ptmx"
        exec chroot "$root" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/srv LC_ALL=C.UTF-8 \
            ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} "$@"' in_chroot "$@"
}

# try RELEASE: from nothing
try() {
    local root=$build/$1 log=$build/$1.log
    rm -rf "$root"
    say "$1: a bare system"
    apart debootstrap --variant=minbase "$1" "$root" "$mirror" >"$log" 2>&1 || { tail "$log"; fail "no $1"; }
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    git clone --quiet --no-hardlinks . "$root/srv/floydattn"
    git -C "$root/srv/floydattn" checkout --quiet --detach "$commit"
    in_chroot "$root" sh /srv/floydattn/tests/package/bare.sh "$pattern" >>"$log" 2>&1 ||
        { tail -n 40 "$log"; fail "$1: $log has all of it"; }
    sed -n 's/^-- result: //p' "$log" | tee -a "$report"
    rm -rf "$root"
}

commit=$(git rev-parse HEAD)
mkdir -p "$build"
{
    echo "./run test install, commit ${commit::7}, $(date --utc +%F)"
    echo "The tests: ${pattern:-all of them}"
} >"$report"
for release in "${releases[@]}"; do
    echo >>"$report"
    try "$release"
done
[ -z "$record" ] || install -D -m 644 "$report" "$record"
say "from a bare system to an installed one and back: ${releases[*]}"
