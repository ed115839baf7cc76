#!/bin/sh
# Stops what start.sh has started, and waits until it is gone.
cd "$(dirname "$0")" || exit
for name in envoy exequatur upstream; do
    [ -f "$name.pid" ] || continue
    pid=$(cat "$name.pid")
    rm "$name.pid"
    kill "$pid" 2>/dev/null
    while kill -0 "$pid" 2>/dev/null; do
        sleep 0.1
    done
done
