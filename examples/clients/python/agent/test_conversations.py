"""What the agent does in each of ../conversations.json, which the one in TypeScript does too."""

import asyncio
import json
import unittest
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any
from unittest import mock

import httpx

from agent.answer import Step, challenges
from agent.authorization_server import Granted
from agent.call import Call, Caller, Refused
from agent.proof import Proofs
from agent.settings import Settings
from agent.token import Held, StepUp, Tokens

SETTINGS = Settings(
    issuer="https://login.example.com",
    client_id="a",
    key_file=Path("a.pem"),
    key_id="a-1",
    api="https://api.example.com",
    resource="https://api.example.com",
    scope="documents:read",
    bound="dpop",
)
TABLE = Path(__file__).parents[2] / "conversations.json"


class Api:
    """Gives one answer after the other."""

    def __init__(self, answers: list[dict[str, Any]]) -> None:
        self.left = list(answers)
        self.sent: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        answer: dict[str, Any] = self.left.pop(0) if self.left else {"status": 599}
        fields: dict[str, str] = answer.get("fields", {})
        problem = answer.get("problem")
        if reason := answer.get("reason"):
            problem = {"type": f"urn:exequatur:reason:{reason}", "reason": reason, "decision": "d-1"}
        if problem is None:
            return httpx.Response(answer["status"], headers=fields)
        fields = {"content-type": "application/problem+json"} | fields
        return httpx.Response(answer["status"], headers=fields, text=json.dumps(problem))


class Given:
    """Tokens, counted."""

    def __init__(self, api: Api) -> None:
        self.proofs = Proofs()
        self.connection = httpx.AsyncClient(transport=httpx.MockTransport(api))
        self.made = 0
        self.asked: StepUp | None = None
        self.held = self._token()

    def _token(self) -> Held:
        self.made += 1
        return Held(Granted(f"token-{self.made}", 300, None), self.connection)

    async def current(self) -> Held:
        return self.held

    async def instead(self, _used: Held | None, step_up: StepUp | None = None) -> Held:
        self.asked = step_up
        self.held = self._token()
        return self.held


class Conversations(unittest.IsolatedAsyncioTestCase):
    async def test_each(self) -> None:
        for conversation in json.loads(TABLE.read_text(encoding="utf-8")):
            with self.subTest(conversation["what"]):
                await self.hold(conversation)

    async def hold(self, told: dict[str, Any]) -> None:
        answers, method = told["answers"], told.get("method", "GET")
        api = Api(answers)
        given = Given(api)
        caller = Caller(SETTINGS, given, can_step_up=told.get("can_step_up", False))
        followed: list[Step] = []
        body = "{}" if method == "POST" else None
        try:
            response = await caller.call(Call(method, "/a", body), followed.append)
        except Refused as refused:
            assert told["end"] == "refused", refused
            assert (refused.answer.status, refused.answer.reason) == (answers[-1]["status"], told.get("reason"))
            assert "reason" not in told or f"{told['reason']} (decision d-1)" in str(refused)
        else:
            assert (told["end"], response.status_code) == ("done", answers[-1]["status"])
        assert [step.value for step in followed] == told.get("followed", [])
        assert given.made == told.get("tokens", 1)
        assert len(api.sent) == len(answers)
        if "asked" in told:
            assert given.asked == StepUp(told["asked"].get("acr_values"), told["asked"].get("max_age"))
        # No proof was sent twice; each one after the first nonce has it; and the body was there each time.
        claims = [claims_of(request.headers["dpop"]) for request in api.sent]
        assert len({claim["jti"] for claim in claims}) == len(api.sent)
        nonce = None
        for claim, answer in zip(claims, answers, strict=True):
            assert claim.get("nonce") == nonce
            nonce = answer.get("fields", {}).get("dpop-nonce", nonce)
        assert all(request.content.decode() == (body or "") for request in api.sent)

    async def test_no_token_is_sent_elsewhere(self) -> None:
        api = Api([])
        caller = Caller(SETTINGS, Given(api), can_step_up=False)
        for path in ("https://elsewhere.example.com/", "//elsewhere.example.com/", "http://api.example.com/"):
            with self.assertRaises(ValueError):
                await caller.call(Call("GET", path))
        assert not api.sent

    async def test_calls_that_wait_share_one_token(self) -> None:
        asked = 0

        async def grant(*_: object) -> Granted:
            nonlocal asked
            asked += 1
            await asyncio.sleep(0)
            return Granted(f"token-{asked}", 300, None)

        tokens = Tokens(SETTINGS, grant)
        with mock.patch("agent.token.AuthorizationServer.discover", mock.AsyncMock()):
            held = await asyncio.gather(*(tokens.current() for _ in range(8)))
            assert (asked, len(set(held))) == (1, 1)
            again = await asyncio.gather(*(tokens.instead(held[0]) for _ in range(8)))
            assert (asked, len(set(again)), again[0].reveal()) == (2, 1, "token-2")
            # A renewal that is on its way is not what a challenge asked for.
            strong = StepUp(None, 5)
            renewed, *stepped_up = await asyncio.gather(
                tokens.instead(again[0]), *(tokens.instead(again[0], strong) for _ in range(8))
            )
            assert (asked, renewed.reveal(), len(set(stepped_up))) == (4, "token-3", 1)
            await tokens.close()


class TokensInMemory(unittest.TestCase):
    def test_a_token_is_not_shown(self) -> None:
        granted = Granted("secret", 300, "secret")
        held = Held(granted, httpx.AsyncClient())
        assert "secret" not in f"{granted} {granted!r} {held} {held!r}"
        assert held.reveal() == "secret"

    def test_a_token_is_renewed_before_it_ends(self) -> None:
        for lifetime, until in ((300, 270), (60, 48), (5, 4)):
            with mock.patch("agent.token.time.monotonic") as now:
                now.return_value = 0
                held = Held(Granted("secret", lifetime, None), httpx.AsyncClient())
                now.return_value = until - 0.1
                assert held.fresh, lifetime
                now.return_value = until + 0.1
                assert not held.fresh, lifetime

    def test_challenges_are_told_apart(self) -> None:
        assert challenges('Bearer realm="a, b=\\"c\\"", DPoP algs="ES256", error=use_dpop_nonce, Negotiate, X a=b') == [
            {"realm": 'a, b="c"'},
            {"algs": "ES256", "error": "use_dpop_nonce"},
            {},
            {"a": "b"},
        ]


def claims_of(proof: str) -> dict[str, Any]:
    part = proof.split(".")[1]
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


if __name__ == "__main__":
    unittest.main()
