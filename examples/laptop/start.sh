#!/bin/sh
# Starts the documents service, Exequatur and Envoy in the background, and ends when all three answer. Wants `exequatur` and `envoy`
# in PATH; what they say is in *.log, and their process ids in *.pid.
set -eu
cd "$(dirname "$0")"

start() {
    name=$1
    shift
    "$@" >"$name.log" 2>&1 &
    echo $! >"$name.pid"
}

for url in http://127.0.0.1:9192/readyz http://localhost:10000/healthz; do
    if curl -s -o /dev/null "$url"; then
        echo "something answers at $url already: stop that first (./stop.sh, in the folder where it was started)" >&2
        exit 1
    fi
done
[ -f issuer.pem ] || exequatur dev issuer --print >jwks.json
exequatur config check -c exequatur.yaml >/dev/null
start upstream python3 upstream.py
start exequatur exequatur serve -c exequatur.yaml
# Envoy ends when the process that started it does, so let one stay that waits for it.
start envoy sh -c 'trap "kill \$!; wait" TERM; envoy -c envoy.yaml --log-level warning & wait'
for _ in $(seq 300); do
    if curl -sf -o /dev/null http://127.0.0.1:9192/readyz && curl -sf -o /dev/null http://localhost:10000/healthz; then
        echo "ready: http://localhost:10000"
        exit
    fi
    kill -0 "$(cat upstream.pid)" "$(cat exequatur.pid)" "$(cat envoy.pid)" || break
    sleep 0.1
done
tail -n 5 ./*.log >&2
exit 1
