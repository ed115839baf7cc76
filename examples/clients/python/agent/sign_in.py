"""A token of a user who signs in: authorization code with PKCE.

A browser is none of the agent's business: it is given an address and waits for the one that the user is sent back to.
"""

import hashlib
import time
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from hmac import compare_digest
from secrets import token_urlsafe
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from agent.authorization_server import AuthorizationServer, Granted, NoToken
from agent.settings import Settings
from agent.token import Grant, StepUp

Browser = Callable[[str], Awaitable[str]]


def sign_in(settings: Settings, browser: Browser) -> Grant:
    redirect_uri = settings.redirect_uri
    if redirect_uri is None:
        raise ValueError("signing in needs a redirect_uri")

    async def grant(server: AuthorizationServer, connection: httpx.AsyncClient, step_up: StepUp | None) -> Granted:
        state, nonce, verifier = (token_urlsafe(32) for _ in range(3))
        asked = {
            "client_id": settings.client_id,
            "redirect_uri": redirect_uri,
            "response_type": "code",
            "scope": settings.scope,
            "resource": settings.resource,
            "state": state,
            "nonce": nonce,
            "code_challenge": _digest(verifier),
            "code_challenge_method": "S256",
        }
        # What the API asked for, as it asked for it (RFC 9470 section 4).
        if step_up and step_up.acr_values is not None:
            asked["acr_values"] = step_up.acr_values
        if step_up and step_up.max_age is not None:
            asked["max_age"] = str(step_up.max_age)
        back = await browser(f"{server.endpoint('authorization_endpoint')}?{urlencode(asked)}")
        code = _code(back, redirect_uri, state, server.issuer)
        granted = await server.token(
            connection,
            {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": verifier},
        )
        # The nonce ties the token to this sign-in; the time, to what was asked for.
        if granted.id_token is None:
            raise NoToken("there is no id token")
        identity = await server.identity(connection, granted.id_token, nonce)
        max_age = step_up.max_age if step_up else None
        authenticated = identity.get("auth_time")
        if max_age is not None and not (isinstance(authenticated, int) and time.time() - authenticated <= max_age + 5):
            raise NoToken("the user was not authenticated anew")
        return granted

    return grant


def _code(back: str, redirect_uri: str, state: str, issuer: str) -> str:
    if urlsplit(back)._replace(query="").geturl() != redirect_uri:
        raise NoToken("the browser was sent elsewhere")
    answer = parse_qs(urlsplit(back).query, strict_parsing=True)

    def one(name: str) -> str:
        values = answer.get(name, [""])
        if len(values) != 1:
            raise NoToken(f"{name} is there more than once")
        return values[0]

    if not compare_digest(one("state"), state):
        raise NoToken("the answer is to another question")
    # RFC 9207; a server that names itself has to be this one.
    if "iss" in answer and one("iss") != issuer:
        raise NoToken("the answer is another server's")
    if "error" in answer:
        raise NoToken(one("error"))
    return one("code")


def _digest(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
