"""Proofs that a key is held (DPoP, RFC 9449)."""

import hashlib
import time
from base64 import urlsafe_b64encode
from secrets import token_urlsafe
from urllib.parse import urlsplit, urlunsplit

from joserfc import jwt
from joserfc.jwk import ECKey


class Proofs:
    """Of one key, made here for this process: it is in its memory alone, and ends with it."""

    def __init__(self) -> None:
        self._key = ECKey.generate_key("P-256")
        # The last nonce of each server: of the authorization server's none is good at the API.
        self._nonces: dict[str, str] = {}

    def proof(self, method: str, url: str, token: str | None = None) -> str:
        """One for one request: it is good once."""
        parts = urlsplit(url)
        claims: dict[str, str | int] = {
            "jti": token_urlsafe(16),
            "htm": method,
            "htu": urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")),
            "iat": int(time.time()),
        }
        if token is not None:
            digest = hashlib.sha256(token.encode("ascii")).digest()
            claims["ath"] = urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
        if nonce := self._nonces.get(parts.netloc):
            claims["nonce"] = nonce
        header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": self._key.as_dict(private=False)}
        return jwt.encode(header, claims, self._key, algorithms=["ES256"])

    def remember(self, url: str, nonce: str | None) -> None:
        """Any answer may bring the nonce for the next proof, a good one too."""
        if nonce is not None:
            self._nonces[urlsplit(url).netloc] = nonce
