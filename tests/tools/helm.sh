#!/bin/sh
# Installs Helm's own Go library with a binding for Python, and the schemas of Kubernetes' objects, below .tools/helm; prints
# the folder, for PYTHONPATH. For tests of the chart only.
set -eu

tools=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
target=$(CDPATH= cd -- "$tools/../.." && pwd)/.tools/helm
packages="helm-python-sdk==0.2.2 kubernetes-validate==1.37.0
    attrs==26.1.0 importlib_resources==7.1.0 jsonschema==4.26.0 jsonschema-specifications==2025.9.1 packaging==26.3
    PyYAML==6.0.3 referencing==0.37.0 rpds-py==2026.9.1 typing_extensions==4.16.0"

# The list is compared, so that a new version of any of them is installed.
if [ ! -f "$target/installed" ] || [ "$(cat "$target/installed")" != "$packages" ]; then
    # shellcheck disable=SC2086
    "$tools/pip.sh" "$target" $packages
    echo "$packages" >"$target/installed"
fi
echo "$target"
