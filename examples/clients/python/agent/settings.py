"""What an agent is told, in a file. Secrets are in files of their own."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Settings:
    # Who it is, at the authorization server.
    client_id: str
    # Its private key for private_key_jwt (PKCS #8, P-256), and that key's `kid`.
    key_file: Path
    key_id: str
    # Where the API is. Tokens go nowhere else.
    api: str
    # What tokens are to be for (RFC 8707), and for what.
    resource: str
    scope: str
    # What a token is bound to: a key that the agent makes for itself, or its client certificate.
    bound: Literal["dpop", "mtls"]
    # The authorization server; or instead those that are trusted, of which the metadata of `resource` name one.
    issuer: str | None = None
    trusted_issuers: tuple[str, ...] = ()
    # With `mtls`: the certificate and its key, in PEM.
    certificate_file: Path | None = None
    certificate_key_file: Path | None = None
    # Authorities of the servers' certificates, in PEM, where the system does not know them.
    authorities_file: Path | None = None
    # For agents that act for a user who signs in: where the authorization server sends the browser back to.
    redirect_uri: str | None = None


def read_settings(file: Path) -> Settings:
    """Raises a ValueError that says what is wrong with the file."""
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{file}: {error}") from error
    if not isinstance(read, dict):
        raise ValueError(f"{file}: no object of JSON")
    for name, value in read.items():
        if name == "trusted_issuers":
            if not (isinstance(value, list) and value and all(isinstance(issuer, str) for issuer in value)):
                raise ValueError(f"{file}: `trusted_issuers` is no list of texts")
            read[name] = tuple(value)
        elif not isinstance(value, str):
            raise ValueError(f"{file}: `{name}` is no text")
        elif name.endswith("_file"):
            # Files are named as seen from the settings.
            read[name] = file.parent / value
    try:
        settings = Settings(**read)
    except TypeError as error:
        raise ValueError(f"{file}: {error}") from None
    if (settings.issuer is None) == (not settings.trusted_issuers):
        raise ValueError(f"{file}: either issuer or trusted_issuers says whose tokens to get")
    if settings.bound not in ("dpop", "mtls"):
        raise ValueError(f"{file}: bound to {settings.bound}?")
    if settings.bound == "mtls" and not (settings.certificate_file and settings.certificate_key_file):
        raise ValueError(f"{file}: mtls needs certificate_file and certificate_key_file")
    return settings


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port; plain HTTP is for this machine alone."""
    parts = urlsplit(url)
    default = {"https": 443, "http": 80}.get(parts.scheme)
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise ValueError(f"{url} is not to be reached without TLS")
    if default is None:
        raise ValueError(f"{url} is no address of HTTP")
    return parts.scheme, parts.hostname, parts.port or default
