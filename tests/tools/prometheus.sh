#!/bin/sh
# Unpacks Debian's Prometheus, with promtool, below .tools/prometheus, without root and without installing it; prints the folder of
# both programs. `PROMETHEUS_BIN` names a folder that has them already.
set -eu

tools=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
target=$(CDPATH= cd -- "$tools/../.." && pwd)/.tools/prometheus
programs=${PROMETHEUS_BIN:-$target/usr/bin}

has_both() {
    [ -x "$programs/prometheus" ] && [ -x "$programs/promtool" ] && "$programs/promtool" --version >/dev/null 2>&1
}

if ! has_both; then
    [ -z "${PROMETHEUS_BIN:-}" ] || { echo "prometheus.sh: no prometheus and promtool that run in $programs" >&2; exit 1; }
    for needed in apt-get dpkg; do
        command -v "$needed" >/dev/null 2>&1 || {
            echo "prometheus.sh: $needed is needed to fetch Debian's prometheus; elsewhere, set PROMETHEUS_BIN to a folder with prometheus and promtool" >&2
            exit 1
        }
    done
    rm -rf "$target"
    mkdir -p "$target"
    # A fresh machine has no lists of packages yet, and only root may fetch them.
    if ! (cd "$target" && apt-get -qq download prometheus >/dev/null 2>&1); then
        [ "$(id -u)" != 0 ] || apt-get -qq update >&2
        (cd "$target" && apt-get -qq download prometheus >&2) || {
            echo "prometheus.sh: apt-get cannot download prometheus (as root: apt-get update)" >&2
            exit 1
        }
    fi
    dpkg -x "$target"/prometheus_*.deb "$target"
    rm -f "$target"/prometheus_*.deb
    has_both || { echo "prometheus.sh: what was unpacked at $programs does not run" >&2; exit 1; }
fi
echo "$programs"
