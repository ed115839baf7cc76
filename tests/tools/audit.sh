#!/bin/sh
# Checks what is linked: licences, banned crates and versions, sources, and known advisories (deny.toml).
#
# Ends with 1 if something is wrong, and with 3 if the advisory database could not be fetched: everything else was
# checked then, advisories were not. AUDIT_ADVISORIES=offline takes the database that was fetched earlier, `skip` none.
set -eu

cd "$(dirname -- "$0")/../.."
if ! command -v cargo-deny >/dev/null 2>&1; then
    echo "audit.sh: cargo-deny is missing: cargo install cargo-deny --locked" >&2
    exit 2
fi
each() {
    for manifest in Cargo.toml fuzz/Cargo.toml; do
        echo "== $manifest"
        cargo deny --locked --config deny.toml --manifest-path "$manifest" "$@" || exit 1
    done
}

each check --hide-inclusion-graph licenses bans sources
echo "== advisories"
case ${AUDIT_ADVISORIES:-fetch} in
    skip)
        echo "audit.sh: ADVISORIES WERE NOT CHECKED, as AUDIT_ADVISORIES=skip says" >&2
        exit 0
        ;;
    offline) ;;
    *)
        if ! cargo deny --locked fetch db >&2; then
            echo "audit.sh: the advisory database cannot be fetched: ADVISORIES WERE NOT CHECKED, all else was" >&2
            exit 3
        fi
        ;;
esac
each --offline check advisories
