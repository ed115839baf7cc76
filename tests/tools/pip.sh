#!/bin/sh
# pip.sh FOLDER PACKAGE==VERSION … installs prebuilt packages from PyPI into a folder of their own.
set -eu

root=$(CDPATH= cd -- "$(dirname -- "$0")/../.." && pwd)
target=$1
shift

install_with() {
    rm -rf "$target"
    "$@" install --quiet --disable-pip-version-check --no-deps --only-binary :all: --target "$target" $packages >&2
}

packages=$*
mkdir -p "$root/.tools"
if python3 -m pip --version >/dev/null 2>&1; then
    install_with python3 -m pip
elif rm -rf "$root/.tools/venv" && python3 -m venv "$root/.tools/venv" >/dev/null 2>&1; then
    install_with "$root/.tools/venv/bin/python" -m pip
elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    { apt-get update -qq && apt-get install -y -qq python3-pip; } >&2
    install_with python3 -m pip
else
    echo "pip.sh: python3 with pip is needed to install $packages (Debian: python3-pip)" >&2
    exit 1
fi
