"""Certificates as a cluster's authority would make them, with openssl."""

import subprocess
import tempfile
from pathlib import Path


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


def new_key(name: str) -> list[str]:
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key", "-subj", f"/CN={name}"]


class Authority:
    """Signs certificates."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="exequatur-authority-")
        self.at = Path(self.folder.name)
        openssl(self.at, "req", "-x509", "-days", "2", *new_key("ca"), "-out", "ca.crt")
        self.certificate = (self.at / "ca.crt").read_text(encoding="utf-8")

    def sign(self, name: str, alternative: str) -> tuple[str, str]:
        """A certificate for this `subjectAltName`, and its key."""
        openssl(self.at, "req", "-new", *new_key(name), "-out", f"{name}.csr")
        (self.at / "extensions").write_text(f"subjectAltName={alternative}\n", encoding="utf-8")
        authority = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"]
        said = ["-in", f"{name}.csr", "-extfile", "extensions", "-out", f"{name}.crt", "-days", "2"]
        openssl(self.at, "x509", "-req", *authority, *said)
        certificate, key = ((self.at / f"{name}.{end}").read_text(encoding="utf-8") for end in ("crt", "key"))
        return certificate, key
