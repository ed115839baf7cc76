"""Calls to the API.

Each has a token, and a proof where tokens are bound by DPoP. What a refusal asks for is done once, so far as it can be.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urljoin

import httpx
from joserfc.errors import JoseError

from agent.answer import Answer, Step, next_step, read_answer
from agent.proof import Proofs
from agent.settings import Settings, origin
from agent.token import Held, StepUp


@dataclass(frozen=True)
class Call:
    method: str
    # Below the address of the API.
    path: str
    body: str | None = None
    content_type: str = "application/json"


class Tokens(Protocol):
    """Where its tokens come from: token.Tokens."""

    @property
    def proofs(self) -> Proofs | None: ...

    async def current(self) -> Held: ...

    async def instead(self, used: Held | None, step_up: StepUp | None = None) -> Held: ...


class Refused(Exception):
    """The API says no, and nothing that the agent can do would change that now."""

    def __init__(self, answer: Answer) -> None:
        reason, decision = answer.reason or "no reason given", answer.decision or "unknown"
        super().__init__(f"{answer.status} {reason} (decision {decision})")
        self.answer = answer


class NoAnswer(Exception):
    """The API could not be reached, or did not answer in time: whether anything happened is not known."""


HARMLESS = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}


class Caller:
    def __init__(
        self, settings: Settings, tokens: Tokens, *, can_step_up: bool, patience: float = 30, attempts: int = 6
    ) -> None:
        self._settings = settings
        self._tokens = tokens
        self._can_step_up = can_step_up
        # Seconds that a call may spend waiting because it was told to come again later.
        self._patience = patience
        # Requests that one call may make.
        self._attempts = attempts

    async def call(self, call: Call, followed: Callable[[Step], object] = lambda _step: None) -> httpx.Response:
        """What the API answers; `followed` is told each step that is taken before.

        Raises Refused; NoToken where there is none; NoAnswer; and ValueError for a path that does not lead to the API.
        """
        url = urljoin(self._settings.api, call.path)
        if origin(url) != origin(self._settings.api):
            raise ValueError(f"{url} is not to see a token")
        patience = self._patience
        taken: set[Step] = set()
        attempt = 0
        while True:
            attempt += 1
            held, response = await self._answered(url, call)
            answer = read_answer(response)
            step = next_step(answer, call.method in HARMLESS)
            if step is Step.DONE:
                return response
            # What did not help the first time is not tried again. A nonce may have ended while something else was done.
            if step is Step.REFUSED or attempt == self._attempts or step in taken:
                raise Refused(answer)
            if step is Step.RENEW:
                await self._tokens.instead(held)
            elif step is Step.STEP_UP:
                if not self._can_step_up:
                    raise Refused(answer)
                await self._tokens.instead(held, answer.step_up)
            elif step is Step.WAIT:
                # Never sooner than told; and not all at once who were told the same.
                seconds = answer.retry_after or 0
                wait = seconds + random.random() * (0.25 + seconds / 4)
                patience -= wait
                if patience < 0:
                    raise Refused(answer)
                await asyncio.sleep(wait)
            followed(step)
            taken.discard(Step.NONCE)
            if step is not Step.WAIT:
                taken.add(step)

    async def _answered(self, url: str, call: Call) -> tuple[Held, httpx.Response]:
        held = await self._tokens.current()
        # It may have been replaced before this call came to it.
        while not held.enter():
            held = await self._tokens.current()
        try:
            return held, await self._send(held, url, call)
        except httpx.InvalidURL as error:
            raise ValueError(f"{call.path} is no path: {error}") from error
        except (httpx.HTTPError, OSError, JoseError) as error:
            raise NoAnswer(f"{type(error).__name__}: {error}") from error
        finally:
            await held.leave()

    async def _send(self, held: Held, url: str, call: Call) -> httpx.Response:
        proofs, token = self._tokens.proofs, held.reveal()
        headers = {"authorization": f"{'DPoP' if proofs else 'Bearer'} {token}"}
        request = held.connection.build_request(call.method, url, content=call.body, headers=headers)
        if call.body is not None:
            request.headers["content-type"] = call.content_type
        if proofs:
            # A proof of this request alone, of the address as it is sent: a repeated request gets another.
            request.headers["dpop"] = proofs.proof(request.method, str(request.url), token)
        response = await held.connection.send(request)
        if proofs:
            proofs.remember(str(request.url), response.headers.get("dpop-nonce"))
        return response
