"""The authorization server, asked as a client that shows by a key who it is (private_key_jwt, RFC 7523)."""

import math
import time
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Any, cast

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, KeySetSerialization

from agent.proof import Proofs
from agent.settings import Settings, origin

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class NoToken(Exception):
    """There is none: nobody gives one, or what came cannot be used. Without what was sent and got."""


@dataclass(frozen=True)
class Granted:
    access_token: str
    # Seconds.
    lifetime: float
    id_token: str | None

    def __repr__(self) -> str:
        return "Granted(…)"


class AuthorizationServer:
    def __init__(self, settings: Settings, issuer: str, metadata: dict[str, Any]) -> None:
        self._settings = settings
        self.issuer = issuer
        self._key = ECKey.import_key(settings.key_file.read_text(encoding="ascii"))
        self.metadata = metadata
        self.proofs = Proofs() if settings.bound == "dpop" else None

    @classmethod
    async def discover(cls, settings: Settings, issuer: str, connection: httpx.AsyncClient) -> "AuthorizationServer":
        origin(issuer)
        answer = await connection.get(issuer.rstrip("/") + "/.well-known/openid-configuration")
        metadata = _members(answer.raise_for_status())
        if metadata.get("issuer") != issuer:
            raise NoToken("the metadata are of another issuer")
        return cls(settings, issuer, metadata)

    def endpoint(self, name: str) -> str:
        """An address that the metadata name."""
        # Where a certificate is shown, there may be one of its own (RFC 8705 section 5).
        aliases = self.metadata.get("mtls_endpoint_aliases") if self.proofs is None else None
        url = (aliases.get(name) if isinstance(aliases, dict) else None) or self.metadata.get(name)
        if not isinstance(url, str):
            raise NoToken(f"the metadata name no {name}")
        origin(url)
        return url

    async def token(self, connection: httpx.AsyncClient, grant: dict[str, str]) -> Granted:
        url = self.endpoint("token_endpoint")
        answer = await self._asked(connection, url, grant)
        if _asks_for_nonce(answer):
            # Once (RFC 9449 section 8). The assertion of the first try is spent: the second has its own.
            answer = await self._asked(connection, url, grant)
        if answer.status_code != 200:
            raise NoToken(f"{answer.status_code} {_error(answer)}")
        return self._granted(_members(answer))

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
            "aud": self.issuer,
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
        token, lifetime, id_token = answer.get("access_token"), answer.get("expires_in", 60), answer.get("id_token")
        if not (isinstance(token, str) and token.isascii() and token):
            raise NoToken("the answer has no access_token")
        # Some send a text.
        lifetime = float(lifetime) if isinstance(lifetime, str) and lifetime.isdecimal() else lifetime
        if isinstance(lifetime, bool) or not isinstance(lifetime, int | float) or not 0 < lifetime < math.inf:
            raise NoToken("the token has no lifetime that could be understood")
        return Granted(token, float(lifetime), id_token if isinstance(id_token, str) else None)

    async def identity(self, connection: httpx.AsyncClient, id_token: str, nonce: str) -> dict[str, Any]:
        """The claims of an id token, once they are found to be this server's, for this client, and of this sign-in."""
        keys = _members((await connection.get(self.endpoint("jwks_uri"))).raise_for_status())
        known = KeySet.import_key_set(cast("KeySetSerialization", keys))
        token = jwt.decode(id_token, known, algorithms=["ES256", "PS256", "EdDSA", "RS256"])
        registry = jwt.JWTClaimsRegistry(
            leeway=5,
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": self._settings.client_id},
            exp={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        registry.validate(token.claims)
        return token.claims


def _members(answer: httpx.Response) -> dict[str, Any]:
    members = answer.json()
    if not isinstance(members, dict):
        raise NoToken("an answer is no object of JSON")
    return members


def _asks_for_nonce(answer: httpx.Response) -> bool:
    return answer.status_code in (400, 401) and _error(answer) == "use_dpop_nonce" and "dpop-nonce" in answer.headers


def _error(answer: httpx.Response) -> str:
    try:
        return str(answer.json().get("error"))
    except (ValueError, AttributeError):
        return "no error code"
