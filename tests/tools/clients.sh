#!/bin/sh
# Installs the libraries of the agents in examples/clients, those for Python below .tools/clients, and compiles the one in TypeScript.
# `clients.sh lint` looks over the one in Python instead, with ruff and mypy; the compiler does it for the other.
set -eu

tools=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH= cd -- "$tools/../.." && pwd)
examples="$root/examples/clients"
libraries="$root/.tools/clients"

if ! cmp -s "$examples/python/requirements.txt" "$libraries/requirements.txt"; then
    "$tools/pip.sh" "$libraries" --require-hashes -r "$examples/python/requirements.txt"
    cp "$examples/python/requirements.txt" "$libraries/requirements.txt"
fi
if [ "${1:-}" = lint ]; then
    linters="$root/.tools/clients-linters"
    if ! cmp -s "$examples/python/linters.txt" "$linters/linters.txt"; then
        "$tools/pip.sh" "$linters" --require-hashes -r "$examples/python/linters.txt"
        cp "$examples/python/linters.txt" "$linters/linters.txt"
    fi
    # mypy looks for types in a folder of packages; this one has it refuse a package that it brings along itself.
    types=$(mktemp -d)
    trap 'rm -rf "$types"' EXIT
    for package in anyio certifi cryptography h11 httpcore httpx idna joserfc; do
        ln -s "$libraries/$package" "$types/$package"
    done
    cd "$examples/python"
    "$linters/bin/ruff" check --quiet --no-cache .
    "$linters/bin/ruff" format --quiet --check --no-cache .
    PYTHONPATH="$linters" MYPYPATH="$types" python3 -m mypy --follow-imports=silent --cache-dir "$linters/cache" --no-error-summary
    exit
fi
cd "$examples/typescript"
if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    "$tools/node.sh" npm ci --no-audit --no-fund --loglevel=error >&2
fi
"$tools/node.sh" npm run --silent build >&2
