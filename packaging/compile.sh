#!/bin/sh
# compile.sh amd64|arm64 FOLDER compiles the `exequatur` that is released into a folder: static, with the same bytes wherever it is done.
#
# What decides about the bytes is pinned: the sources and Cargo.lock by the commit, rustc and its musl by rust-toolchain.toml, the
# C compiler by its hash (zig/requirements.txt), the linker by rustc, which brings it. The machine's own compiler makes build
# scripts only. Paths are replaced. Needs rustup, python3 with pip, and a C compiler, on Linux: on amd64 (tried) or arm64 (not tried).
set -eu

root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
[ $# = 2 ] || { echo "usage: compile.sh amd64|arm64 FOLDER" >&2; exit 2; }
case $1 in
    amd64) machine=x86_64 ;;
    # 64 KiB: kernels of this architecture have pages of 4, 16 or 64 KiB, and the allocator has to be told the largest.
    arm64) machine=aarch64; export JEMALLOC_SYS_WITH_LG_PAGE=16 ;;
    *) echo "compile.sh: no release is made for $1" >&2; exit 2 ;;
esac
triple=$machine-unknown-linux-musl
mkdir -p "$2"
folder=$(CDPATH= cd -- "$2" && pwd)
cd "$root"

zig=$root/.tools/zig
if ! cmp -s packaging/zig/requirements.txt "$zig/installed"; then
    rm -rf "$zig"
    python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
        --target "$zig" --requirement packaging/zig/requirements.txt
    cp packaging/zig/requirements.txt "$zig/installed"
fi
RUSTUP_TOOLCHAIN=${RUSTUP_TOOLCHAIN:-$(sed -n 's/^channel = "\(.*\)"$/\1/p' rust-toolchain.toml)}
export RUSTUP_TOOLCHAIN
rustup target list --installed | grep -qx "$triple" || rustup target add "$triple"

target=${CARGO_TARGET_DIR:-$root/target}
cargo_home=${CARGO_HOME:-$HOME/.cargo}
under=$(echo "$triple" | tr - _)
upper=$(echo "$under" | tr '[:lower:]' '[:upper:]')
export ZIG="$zig/ziglang/zig" ZIG_TARGET="$machine-linux-musl" ZIG_GLOBAL_CACHE_DIR="$target/zig" ZIG_LOCAL_CACHE_DIR="$target/zig"
export "CC_$under=$root/packaging/zig/cc" "AR_$under=$root/packaging/zig/ar" "RANLIB_$under=$root/packaging/zig/ranlib"
export RANLIB="$root/packaging/zig/ranlib"
export "CFLAGS_$under=-ffile-prefix-map=$target=/target -ffile-prefix-map=$cargo_home=/cargo -g0"
export "CARGO_TARGET_${upper}_RUSTFLAGS=-Clinker=rust-lld -Clinker-flavor=ld.lld \
--remap-path-prefix=$root=/exequatur --remap-path-prefix=$target=/target --remap-path-prefix=$cargo_home=/cargo"
export CARGO_INCREMENTAL=0 LC_ALL=C TZ=UTC
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CFLAGS CPPFLAGS LDFLAGS RUSTC_WRAPPER

cargo build --locked --release --target "$triple" -p exequatur-cli
install -m 0755 "$target/$triple/release/exequatur" "$folder/exequatur"
