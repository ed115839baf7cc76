#!/bin/bash
# publish.sh image|chart|sign|release: the steps of .github/workflows/release.yml that publish, one after the other. They need docker
# with buildx, helm, cosign and gh, and a runner whose identity Sigstore knows; so nothing of this runs in a test.
set -euo pipefail

cd "$(dirname -- "$0")/.."
version=${GITHUB_REF_NAME#v}
# Names in a registry have small letters.
owner=${GITHUB_REPOSITORY,,}
name=$REGISTRY/$owner
charts=$REGISTRY/$owner/charts
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

tell() { echo "$1=$2" >>"$GITHUB_OUTPUT"; }

case ${1:-} in
    image)
        # What was built is what is published: the archives, the root file systems, and both lists as the other job had them.
        (cd target/dist && sha256sum --check --strict SHA256SUMS)
        (cd target/image && sha256sum --check --strict SHA256SUMS)
        built=$(cat target/dist/SHA256SUMS target/image/SHA256SUMS | sha256sum)
        [[ $BUILT =~ ^[0-9a-f]{64}$ && ${built%% *} == "$BUILT" ]]
        # No `latest`: what runs is chosen by version or digest. Provenance and bill of materials are attested by steps of their own.
        docker buildx build --platform linux/amd64,linux/arm64 --target prebuilt --file packaging/Containerfile \
            --build-arg "VERSION=$version" --build-arg "REVISION=$GITHUB_SHA" \
            --label "org.opencontainers.image.source=$GITHUB_SERVER_URL/$GITHUB_REPOSITORY" \
            --provenance=false --sbom=false \
            --output "type=image,name=$name:$version,push=true,oci-mediatypes=true,rewrite-timestamp=true" \
            --metadata-file target/image.json target/image
        digest=$(python3 -c 'import json; print(json.load(open("target/image.json"))["containerimage.digest"])')
        tell name "$name"
        tell digest "$digest"
        tell reference "$name@$digest"
        tell bill "target/dist/exequatur-$version.cdx.json"
        ;;
    chart)
        rm -rf target/chart && mkdir -p target/chart
        helm package charts/exequatur --destination target/chart
        pushed=$(helm push target/chart/exequatur-*.tgz "oci://$charts" 2>&1)
        echo "$pushed"
        digest=$(sed -n 's/^Digest: *//p' <<<"$pushed")
        [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]]
        tell reference "$charts/exequatur@$digest"
        ;;
    sign)
        cosign sign --yes "$IMAGE"
        cosign sign --yes "$CHART"
        # Whoever has checked this file and its signature has checked all that it lists.
        cosign sign-blob --yes --bundle target/dist/SHA256SUMS.sigstore.json target/dist/SHA256SUMS
        ;;
    release)
        gh release create "$GITHUB_REF_NAME" --repo "$GITHUB_REPOSITORY" --verify-tag --draft --title "$version" \
            --notes "What changed: CHANGELOG.md. How to verify: docs/how-to/container-image.md." target/dist/*
        ;;
    *)
        echo "usage: publish.sh image|chart|sign|release" >&2
        exit 2
        ;;
esac
