#!/bin/sh
# Stops what start.sh has started.
cd "$(dirname "$0")" || exit
for name in envoy exequatur upstream; do
    [ ! -f "$name.pid" ] || kill "$(cat "$name.pid")"
    rm -f "$name.pid"
done
