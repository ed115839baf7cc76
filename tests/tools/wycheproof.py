#!/usr/bin/env python3
"""Makes tests/vectors/wycheproof from a clone of C2SP/wycheproof: only the fields that the tests read.

Usage: wycheproof.py GIT_DIRECTORY [COMMIT]
"""

import base64
import json
import pathlib
import subprocess
import sys

TARGET = pathlib.Path(__file__).resolve().parents[1] / "vectors" / "wycheproof"
FILES = [
    "json_web_signature",
    "json_web_key",
    "json_web_crypto",
    "json_web_encryption",
    "ecdsa_secp256r1_sha256_p1363",
    "ecdsa_secp256r1_sha256",
    "ecdsa_secp384r1_sha384_p1363",
    "ed25519",
    "rsa_signature_2048_sha256",
    "rsa_signature_3072_sha256",
    "rsa_signature_4096_sha256",
    "rsa_pss_2048_sha256_mgf1_32",
]


def jwk(group: dict) -> object:
    """The key of a group as a JWK or a set of them: from the file if it has one, else from its numbers."""
    for name in ("publicKeyJwk", "keyJwk", "public"):
        if group.get(name):
            return group[name]
    if "private" in group:
        return group["private"]
    key = group["publicKey"]
    if "uncompressed" in key:
        point = bytes.fromhex(key["uncompressed"])[1:]
        half = len(point) // 2
        name = {32: "P-256", 48: "P-384"}[half]
        return {"kty": "EC", "crv": name, "x": text(point[:half]), "y": text(point[half:])}
    modulus = bytes.fromhex(key["modulus"]).lstrip(b"\0")
    exponent = bytes.fromhex(key["publicExponent"]).lstrip(b"\0")
    return {"kty": "RSA", "n": text(modulus), "e": text(exponent)}


def text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def trimmed(group: dict) -> dict:
    kept = ("tcId", "msg", "sig", "jws", "jwe", "result")
    tests = [{name: test[name] for name in kept if name in test} for test in group["tests"]]
    named = {"comment": group["comment"]} if "comment" in group else {}
    return {**named, "key": jwk(group), "tests": tests}


def main() -> int:
    if len(sys.argv) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    commit = sys.argv[2] if len(sys.argv) == 3 else "HEAD"
    git = ["git", "-C", sys.argv[1]]
    TARGET.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        source = f"{commit}:testvectors_v1/{name}_test.json"
        document = json.loads(subprocess.check_output([*git, "show", source]))
        groups = [trimmed(group) for group in document["testGroups"]]
        count = sum(len(group["tests"]) for group in groups)
        if count != document["numberOfTests"]:
            raise SystemExit(f"{name}: {count} tests, {document['numberOfTests']} announced")
        content = json.dumps({"groups": groups}, separators=(",", ":"), ensure_ascii=False)
        (TARGET / f"{name}.json").write_text(content + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
