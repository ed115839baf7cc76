#!/bin/sh
# Installs the authorization server and the stock client of the tests (Node.js 20 or newer).
set -eu

cd "$(dirname -- "$0")/../authorization-server"
command -v node >/dev/null 2>&1 || { echo "node.sh: node 20 or newer is needed" >&2; exit 1; }
if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    npm ci --no-audit --no-fund --loglevel=error >&2
fi
