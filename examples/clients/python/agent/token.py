"""An access token, in memory alone.

It is got when it is needed, renewed before it ends, and asked for once however many calls wait for it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx

from agent.authorization_server import AuthorizationServer, Granted
from agent.connection import connect
from agent.proof import Proofs
from agent.settings import Settings


@dataclass(frozen=True)
class StepUp:
    """What a challenge asks of the user's authentication (RFC 9470)."""

    acr_values: str | None
    max_age: int | None


class Held:
    """A token and the connection that goes with it: a certificate-bound token is worth nothing over another one."""

    # There is no __dict__ to print.
    __slots__ = ("_asked", "_renew_at", "_value", "connection")

    def __init__(self, granted: Granted, connection: httpx.AsyncClient, asked: StepUp | None = None) -> None:
        self._value = granted.access_token
        self.connection = connection
        # What the user was asked for when it was got.
        self._asked = asked
        # Half a minute early, or a fifth of a short life.
        self._renew_at = time.monotonic() + granted.lifetime - min(30, granted.lifetime / 5)

    def reveal(self) -> str:
        return self._value

    @property
    def fresh(self) -> bool:
        return time.monotonic() < self._renew_at

    def answers(self, step_up: StepUp | None) -> bool:
        return step_up is None or step_up == self._asked


# How a token is got. Only a user can do what a challenge asks of a user.
Grant = Callable[[AuthorizationServer, httpx.AsyncClient, StepUp | None], Awaitable[Granted]]


class Tokens:
    def __init__(self, settings: Settings, grant: Grant | None = None) -> None:
        self._settings = settings
        self._grant = grant or client_credentials(settings)
        self._server: AuthorizationServer | None = None
        self._held: Held | None = None
        self._retired: Held | None = None
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
            held = await asyncio.shield(self._coming)
            if held.answers(step_up):
                return held
        if self._held and self._held is not used and self._held.answers(step_up):
            return self._held
        # Who gives up waiting does not end it for the others.
        self._coming = asyncio.create_task(self._ask(step_up))
        return await asyncio.shield(self._coming)

    async def close(self) -> None:
        for held in (self._held, self._retired):
            if held:
                await held.connection.aclose()
        self._held = self._retired = None

    async def _ask(self, step_up: StepUp | None) -> Held:
        connection = connect(self._settings)
        try:
            if self._server is None:
                self._server = await AuthorizationServer.discover(self._settings, connection)
            held = Held(await self._grant(self._server, connection, step_up), connection, step_up)
        except BaseException:
            await connection.aclose()
            raise
        finally:
            self._coming = None
        # A call may be under way with the token before this one, but with none before that.
        retired, self._retired, self._held = self._retired, self._held, held
        if retired:
            await retired.connection.aclose()
        return held


def client_credentials(settings: Settings) -> Grant:
    """The agent's own token: it acts for itself."""

    async def grant(server: AuthorizationServer, connection: httpx.AsyncClient, _step_up: StepUp | None) -> Granted:
        asked = {"grant_type": "client_credentials", "scope": settings.scope, "resource": settings.resource}
        return await server.token(connection, asked)

    return grant
