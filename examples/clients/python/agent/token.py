"""An access token, in memory alone.

It is got when it is needed, renewed before it ends, and asked for once however many calls wait for it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx
from joserfc.errors import JoseError

from agent.authorization_server import AuthorizationServer, Granted, NoToken
from agent.connection import connect_when_whole
from agent.proof import Proofs
from agent.resource import issuer_of
from agent.settings import Settings

# Seconds that a token is held for at most, whatever the authorization server says.
LONGEST = 600
# What comes of files, connections, addresses and answers that cannot be used.
UNUSABLE = (OSError, TypeError, ValueError, KeyError, httpx.HTTPError, httpx.InvalidURL, JoseError)


@dataclass(frozen=True)
class StepUp:
    """What a challenge asks of the user's authentication (RFC 9470)."""

    acr_values: str | None
    max_age: int | None


class Held:
    """A token and the connection that goes with it: a certificate-bound token is worth nothing over another one.

    Who calls enters it and leaves it. A connection that was retired ends when the last has left.
    """

    # There is no __dict__ to print.
    __slots__ = ("_asked", "_calls", "_idle", "_renew_at", "_retired", "_value", "connection")

    def __init__(self, granted: Granted, connection: httpx.AsyncClient, asked: StepUp | None = None) -> None:
        self._value = granted.access_token
        self.connection = connection
        # What the user was asked for when it was got.
        self._asked = asked
        # Half a minute early, or a fifth of a short life.
        lifetime = min(granted.lifetime, LONGEST)
        self._renew_at = time.monotonic() + lifetime - min(30, lifetime / 5)
        self._calls = 0
        self._retired = False
        self._idle = asyncio.Event()
        self._idle.set()

    def reveal(self) -> str:
        return self._value

    @property
    def fresh(self) -> bool:
        return time.monotonic() < self._renew_at

    def answers(self, step_up: StepUp | None) -> bool:
        return step_up is None or step_up == self._asked

    def enter(self) -> bool:
        """Whether there still is a connection for a call."""
        if self._retired:
            return False
        self._calls += 1
        self._idle.clear()
        return True

    async def leave(self) -> None:
        self._calls -= 1
        if self._calls == 0:
            self._idle.set()
            if self._retired:
                await self.connection.aclose()

    async def retire(self) -> None:
        self._retired = True
        if self._calls == 0:
            await self.connection.aclose()

    async def close(self) -> None:
        """Waits for what is under way."""
        await self.retire()
        await self._idle.wait()


# How a token is got. Only a user can do what a challenge asks of a user.
Grant = Callable[[AuthorizationServer, httpx.AsyncClient, StepUp | None], Awaitable[Granted]]


class Tokens:
    def __init__(self, settings: Settings, grant: Grant | None = None) -> None:
        self._settings = settings
        self._grant = grant or client_credentials(settings)
        self._server: AuthorizationServer | None = None
        self._held: Held | None = None
        self._closed = False
        self._coming: asyncio.Task[Held] | None = None

    @property
    def proofs(self) -> Proofs | None:
        return self._server.proofs if self._server else None

    async def current(self) -> Held:
        if self._held and self._held.fresh:
            return self._held
        return await self.instead(self._held)

    async def instead(self, used: Held | None, step_up: StepUp | None = None) -> Held:
        """Another token than `used`.

        Whoever asks while one is on its way waits for that, unless it is to have more of the user.
        """
        while self._coming:
            held = await _awaited(self._coming)
            if held.answers(step_up):
                return held
        if self._closed:
            raise NoToken("it was closed")
        if self._held and self._held is not used and self._held.answers(step_up):
            return self._held
        self._coming = asyncio.create_task(self._ask(step_up))
        return await _awaited(self._coming)

    async def close(self) -> None:
        """Ends what asks for a token, and waits for calls that are under way."""
        self._closed = True
        if self._coming:
            self._coming.cancel()
            await asyncio.wait([self._coming])
        held, self._held = self._held, None
        if held:
            await held.close()

    async def _ask(self, step_up: StepUp | None) -> Held:
        try:
            held = await self._new(step_up)
        except UNUSABLE as error:
            raise NoToken(f"{type(error).__name__}: {error}") from error
        finally:
            self._coming = None
        # Calls may be under way with the token before this one.
        retired, self._held = self._held, held
        if retired:
            await retired.retire()
        return held

    async def _new(self, step_up: StepUp | None) -> Held:
        connection = await connect_when_whole(self._settings)
        try:
            if self._server is None:
                issuer = await issuer_of(self._settings, connection)
                self._server = await AuthorizationServer.discover(self._settings, issuer, connection)
            return Held(await self._grant(self._server, connection, step_up), connection, step_up)
        except BaseException:
            await connection.aclose()
            raise


async def _awaited(coming: asyncio.Task[Held]) -> Held:
    # Who gives up waiting does not end it for the others.
    try:
        return await asyncio.shield(coming)
    except asyncio.CancelledError:
        if coming.cancelled():
            raise NoToken("it was closed") from None
        raise


def client_credentials(settings: Settings) -> Grant:
    """The agent's own token: it acts for itself."""

    async def grant(server: AuthorizationServer, connection: httpx.AsyncClient, _step_up: StepUp | None) -> Granted:
        asked = {"grant_type": "client_credentials", "scope": settings.scope, "resource": settings.resource}
        return await server.token(connection, asked)

    return grant
