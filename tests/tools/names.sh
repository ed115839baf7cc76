#!/bin/sh
# Fails on source files whose name says nothing about what is in them.
set -eu

cd "$(dirname -- "$0")/../.."
found=$(find crates tests fuzz proto charts policies envoy examples \( -name node_modules -o -name target -o -name dist \) -prune -o \
    -type f \( -name 'util*.*' -o -name 'helper*.*' -o -name 'common*.*' -o -name 'misc*.*' -o -name 'manager*.*' \) -print)
if [ -n "$found" ]; then
    echo "names.sh: name these files after what is in them:" >&2
    echo "$found" >&2
    exit 1
fi
