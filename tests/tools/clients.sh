#!/bin/sh
# Installs the libraries of the agents in examples/clients, those for Python below .tools/clients, and compiles the one in TypeScript.
set -eu

tools=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH= cd -- "$tools/../.." && pwd)
examples="$root/examples/clients"
libraries="$root/.tools/clients"

if ! cmp -s "$examples/python/requirements.txt" "$libraries/requirements.txt"; then
    "$tools/pip.sh" "$libraries" --require-hashes -r "$examples/python/requirements.txt"
    cp "$examples/python/requirements.txt" "$libraries/requirements.txt"
fi
cd "$examples/typescript"
if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    "$tools/node.sh" npm ci --no-audit --no-fund --loglevel=error >&2
fi
"$tools/node.sh" npm run --silent build >&2
