"""The authorization server, asked as a client that shows by a key who it is (private_key_jwt, RFC 7523)."""

import time
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from agent.proof import Proofs
from agent.settings import Settings, origin

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class NoToken(Exception):
    """The authorization server gives none: the error's code, without what was sent."""


@dataclass(frozen=True)
class Granted:
    access_token: str
    # Seconds.
    lifetime: float
    id_token: str | None

    def __repr__(self) -> str:
        return "Granted(…)"


class AuthorizationServer:
    def __init__(self, settings: Settings, metadata: dict[str, Any]) -> None:
        self._settings = settings
        self._key = ECKey.import_key(settings.key_file.read_text(encoding="ascii"))
        self.metadata = metadata
        self.proofs = Proofs() if settings.bound == "dpop" else None

    @classmethod
    async def discover(cls, settings: Settings, connection: httpx.AsyncClient) -> "AuthorizationServer":
        origin(settings.issuer)
        answer = await connection.get(settings.issuer.rstrip("/") + "/.well-known/openid-configuration")
        metadata = answer.raise_for_status().json()
        if metadata.get("issuer") != settings.issuer:
            raise NoToken("the metadata are of another issuer")
        return cls(settings, metadata)

    async def token(self, connection: httpx.AsyncClient, grant: dict[str, str]) -> Granted:
        # Where a certificate is shown, there may be an address of its own (RFC 8705 section 5).
        aliases = self.metadata.get("mtls_endpoint_aliases", {}) if self.proofs is None else {}
        url = aliases.get("token_endpoint") or self.metadata["token_endpoint"]
        origin(url)
        answer = await self._asked(connection, url, grant)
        if _asks_for_nonce(answer):
            # Once (RFC 9449 section 8). The assertion of the first try is spent: the second has its own.
            answer = await self._asked(connection, url, grant)
        if answer.status_code != 200:
            raise NoToken(f"{answer.status_code} {_error(answer)}")
        return self._granted(answer.json())

    async def _asked(self, connection: httpx.AsyncClient, url: str, grant: dict[str, str]) -> httpx.Response:
        form = grant | {
            "client_id": self._settings.client_id,
            "client_assertion_type": ASSERTION,
            "client_assertion": self._assertion(),
        }
        headers = {"accept": "application/json"}
        if self.proofs:
            headers["dpop"] = self.proofs.proof("POST", url)
        answer = await connection.post(url, data=form, headers=headers)
        if self.proofs:
            self.proofs.remember(url, answer.headers.get("dpop-nonce"))
        return answer

    def _assertion(self) -> str:
        now = int(time.time())
        client = self._settings.client_id
        claims = {
            "iss": client,
            "sub": client,
            "aud": self._settings.issuer,
            "jti": token_urlsafe(16),
            "iat": now,
            "exp": now + 60,
        }
        header = {"alg": "ES256", "kid": self._settings.key_id}
        return jwt.encode(header, claims, self._key, algorithms=["ES256"])

    def _granted(self, answer: dict[str, Any]) -> Granted:
        # A server that binds nothing would have to be noticed here, not after the token was sent in the clear.
        kind = "dpop" if self.proofs else "bearer"
        if str(answer.get("token_type")).lower() != kind:
            raise NoToken(f"a token of type {kind} was asked for, {answer.get('token_type')} came")
        return Granted(answer["access_token"], float(answer.get("expires_in", 60)), answer.get("id_token"))

    async def identity(self, connection: httpx.AsyncClient, id_token: str, nonce: str) -> dict[str, Any]:
        """The claims of an id token, once they are found to be this server's, for this client, and of this sign-in."""
        origin(self.metadata["jwks_uri"])
        keys = (await connection.get(self.metadata["jwks_uri"])).raise_for_status().json()
        token = jwt.decode(id_token, KeySet.import_key_set(keys), algorithms=["ES256", "PS256", "EdDSA", "RS256"])
        registry = jwt.JWTClaimsRegistry(
            leeway=5,
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "value": self._settings.client_id},
            exp={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        registry.validate(token.claims)
        return token.claims


def _asks_for_nonce(answer: httpx.Response) -> bool:
    return answer.status_code in (400, 401) and _error(answer) == "use_dpop_nonce" and "dpop-nonce" in answer.headers


def _error(answer: httpx.Response) -> str:
    try:
        return str(answer.json().get("error"))
    except (ValueError, AttributeError):
        return "no error code"
