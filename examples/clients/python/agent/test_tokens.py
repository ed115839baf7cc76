"""Whose tokens are got, for how long they are held, and what becomes of what goes wrong."""

import asyncio
import json
import os
import ssl
import sys
import tempfile
import unittest
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
from joserfc.jwk import ECKey

from agent.authorization_server import Granted, NoToken
from agent.call import Call, Caller, NoAnswer
from agent.connection import connect
from agent.resource import metadata_address
from agent.settings import Settings, read_settings
from agent.test_conversations import SETTINGS
from agent.token import Held, Tokens

Answer = Callable[[httpx.Request], httpx.Response]
LOGIN = "https://login.example.com"
API = "https://api.example.com"
METADATA = {"resource": API, "authorization_servers": [LOGIN]}
OPENID = {"issuer": LOGIN, "token_endpoint": f"{LOGIN}/token"}
GRANTED = {"access_token": "secret", "token_type": "DPoP", "expires_in": 300}


def served(metadata: object = METADATA, openid: object = OPENID, granted: object = GRANTED) -> Answer:
    """API and authorization server: each of these is JSON, an answer, or an exception."""

    def answer(request: httpx.Request) -> httpx.Response:
        came = {
            f"{API}/.well-known/oauth-protected-resource": metadata,
            f"{LOGIN}/.well-known/openid-configuration": openid,
            f"{LOGIN}/token": granted,
            "http://login.example.com/token": granted,
        }.get(str(request.url), httpx.Response(404))
        if isinstance(came, Exception):
            raise came
        return came if isinstance(came, httpx.Response) else httpx.Response(200, text=json.dumps(came))

    return answer


def connected(answer: Answer) -> Any:
    client = mock.AsyncMock(side_effect=lambda _: httpx.AsyncClient(transport=httpx.MockTransport(answer)))
    return mock.patch("agent.token.connect_when_whole", client)


class Files(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        key = self.folder / "a.pem"
        key.write_bytes(ECKey.generate_key("P-256").as_pem(private=True))
        self.settings = replace(SETTINGS, key_file=key)

    async def none(self, settings: Settings, answer: Answer, what: object) -> None:
        with connected(answer):
            tokens = Tokens(settings)
            with self.assertRaises(NoToken, msg=str(what)) as raised:
                await tokens.current()
            assert "secret" not in str(raised.exception), what
            await tokens.close()


class Whose(Files):
    async def test_the_resource_says_whose_tokens_count(self) -> None:
        trusting = replace(self.settings, issuer=None, trusted_issuers=("https://other.example.com", LOGIN))
        with connected(served()):
            tokens = Tokens(trusting)
            assert (await tokens.current()).reveal() == "secret"
            await tokens.close()
        # Of two the one that is trusted most.
        both = {"resource": API, "authorization_servers": [LOGIN, "https://other.example.com"]}
        await self.none(trusting, served(metadata=both), "the other server has no metadata")

    async def test_nobody_else_is_asked(self) -> None:
        trusting = replace(self.settings, issuer=None, trusted_issuers=(LOGIN,))
        for metadata in (
            {"resource": f"{API}/", "authorization_servers": [LOGIN]},
            {"resource": "https://other.example.com", "authorization_servers": [LOGIN]},
            {"authorization_servers": [LOGIN]},
            {"resource": API},
            {"resource": API, "authorization_servers": []},
            {"resource": API, "authorization_servers": ["https://evil.example.com"]},
            {"resource": API, "authorization_servers": f"{LOGIN} https://evil.example.com"},
            {"resource": API, "authorization_servers": {LOGIN: 1}},
            [API],
            httpx.Response(404, text=json.dumps(METADATA)),
            httpx.Response(302, headers={"location": f"{LOGIN}/.well-known/openid-configuration"}),
            httpx.Response(200, text="<html>"),
            httpx.ConnectError("nobody is there"),
        ):
            await self.none(trusting, served(metadata=metadata), metadata)

    def test_where_metadata_are(self) -> None:
        known = "https://a.example/.well-known/oauth-protected-resource"
        for resource, address in (("", ""), ("/", ""), ("/mcp", "/mcp"), ("/a/b/", "/a/b/")):
            assert metadata_address(f"https://a.example{resource}") == known + address
        for resource in ("https://a.example/?b", "https://a.example/#b", "http://a.example", "urn:a", "a"):
            with self.assertRaises(ValueError):
                metadata_address(resource)

    def test_settings_say_one_of_the_two(self) -> None:
        file = self.folder / "agent.json"
        told = {"client_id": "a", "key_file": "a.pem", "key_id": "a-1", "api": API, "resource": API, "scope": "a"}
        told["bound"] = "dpop"
        for more, well in (
            ({"issuer": LOGIN}, True),
            ({"trusted_issuers": [LOGIN]}, True),
            ({}, False),
            ({"issuer": LOGIN, "trusted_issuers": [LOGIN]}, False),
            ({"trusted_issuers": []}, False),
            ({"trusted_issuers": LOGIN}, False),
            ({"trusted_issuers": [1]}, False),
        ):
            file.write_text(json.dumps(told | more))
            if well:
                assert read_settings(file).key_file == self.folder / "a.pem"
            else:
                with self.assertRaises(ValueError, msg=str(more)):
                    read_settings(file)
        for text in ("[]", "{", '{"a": 1}'):
            file.write_text(text)
            with self.assertRaises(ValueError):
                read_settings(file)
        with self.assertRaises(ValueError):
            read_settings(self.folder / "nowhere.json")


class Wrong(Files):
    async def test_what_cannot_be_used_is_no_token(self) -> None:
        documents: tuple[object, ...] = (
            httpx.ConnectError("nobody is there"),
            httpx.Response(500),
            httpx.Response(200, text="<html>"),
            [],
            {"issuer": "https://other.example.com", "token_endpoint": f"{LOGIN}/token"},
            {"issuer": LOGIN},
            {"issuer": LOGIN, "token_endpoint": 1},
            {"issuer": LOGIN, "token_endpoint": "http://login.example.com/token"},
            {"issuer": LOGIN, "token_endpoint": "https://[/token"},
            {"issuer": LOGIN, "token_endpoint": "https://login.example.com:x/token"},
        )
        for openid in documents:
            await self.none(self.settings, served(openid=openid), openid)
        odd: tuple[object, ...] = (0, -1, True, "soon", None, [])
        for granted in (
            httpx.ReadTimeout("too late"),
            httpx.Response(500, text="secret"),
            httpx.Response(200, text='{"access_token": "secret"'),
            httpx.Response(200, text='{"access_token": "secret", "token_type": "DPoP", "expires_in": NaN}'),
            [],
            GRANTED | {"token_type": "Bearer"},
            GRANTED | {"access_token": None},
            GRANTED | {"access_token": "sécret"},
            *(GRANTED | {"expires_in": lifetime} for lifetime in odd),
        ):
            await self.none(self.settings, served(granted=granted), granted)

    async def test_a_key_that_cannot_be_read_is_no_token(self) -> None:
        await self.none(replace(self.settings, key_file=self.folder / "nowhere.pem"), served(), "no file")
        self.settings.key_file.write_text("secret")
        await self.none(self.settings, served(), "no key")

    async def test_a_call_without_an_answer_says_so(self) -> None:
        def nobody(_: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("nobody is there")

        caller = Caller(SETTINGS, Given([httpx.MockTransport(nobody)] * 2), can_step_up=False)
        with self.assertRaises(NoAnswer):
            await caller.call(Call("GET", "/a"))
        for path in ("/\x00", "//[", f"{API}:x/"):
            with self.assertRaises(ValueError, msg=path):
                await caller.call(Call("GET", path))


class Program(Files):
    async def test_it_ends_with_words_and_not_with_a_trace(self) -> None:
        told = {
            "issuer": LOGIN,
            "client_id": "a",
            "key_file": "nowhere.pem",
            "key_id": "a-1",
            "api": API,
            "bound": "dpop",
        }
        file = self.folder / "agent.json"
        for settings, more, told_by, line in (
            ("[]", [], "stderr", "no object of JSON"),
            (json.dumps(told | {"resource": API, "scope": "a"}), ["--for-user"], "stderr", "redirect_uri"),
            (json.dumps(told | {"resource": API, "scope": "a"}), [], "stdout", "is not to be reached without TLS"),
        ):
            file.write_text(settings)
            program = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "agent", str(file), *more),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            said, errors = await program.communicate(b"GET http://elsewhere.example.com/\n")
            assert b"Traceback" not in errors, errors
            assert line.encode() in (said if told_by == "stdout" else errors), (settings, said, errors)


class Connections(Files):
    async def test_no_proxy_of_the_environment_sees_a_token(self) -> None:
        asked: list[str] = []

        async def serve(name: str) -> asyncio.Server:
            async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                asked.append(name)
                writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
                await writer.drain()
                writer.close()

            return await asyncio.start_server(answer, "127.0.0.1")

        async with await serve("proxy") as proxy, await serve("api") as api:
            here, there = (f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}" for server in (proxy, api))
            names = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"), here)
            with mock.patch.dict(os.environ, names | {"NO_PROXY": "", "no_proxy": ""}):
                async with connect(self.settings) as connection:
                    await connection.get(there)
        assert asked == ["api"]

    async def test_files_that_are_being_replaced_are_read_again(self) -> None:
        own = replace(self.settings, bound="mtls", certificate_file=self.folder / "a.crt", certificate_key_file=None)
        with self.assertRaises(OSError):
            connect(own)
        whole = httpx.AsyncClient(transport=httpx.MockTransport(served(granted=GRANTED | {"token_type": "Bearer"})))
        odd = [ssl.SSLError("key values mismatch"), FileNotFoundError()]
        with mock.patch("agent.connection.asyncio.sleep", mock.AsyncMock()) as slept:
            with mock.patch("agent.connection.connect", mock.Mock(side_effect=[*odd, whole])):
                tokens = Tokens(own)
                assert (await tokens.current()).reveal() == "secret"
            assert slept.await_count == len(odd)
            await tokens.close()
            # What stays so is told.
            with self.assertRaises(NoToken):
                await Tokens(own).current()

    async def test_a_call_under_way_is_not_cut(self) -> None:
        arrived, go_on = asyncio.Event(), asyncio.Event()

        async def slow(_: httpx.Request) -> httpx.Response:
            arrived.set()
            await go_on.wait()
            return httpx.Response(200)

        async def grant(*_: object) -> Granted:
            return Granted("secret", 300, None)

        made: list[httpx.AsyncClient] = []

        async def client(_: Settings) -> httpx.AsyncClient:
            made.append(httpx.AsyncClient(transport=httpx.MockTransport(slow)))
            return made[-1]

        for ending in ("renewed", "closed"):
            arrived.clear()
            go_on.clear()
            made.clear()
            with (
                mock.patch("agent.token.connect_when_whole", client),
                mock.patch("agent.token.AuthorizationServer.discover", mock.AsyncMock()),
                mock.patch.object(Tokens, "proofs", None),
            ):
                tokens = Tokens(SETTINGS, grant)
                call = asyncio.create_task(Caller(SETTINGS, tokens, can_step_up=False).call(Call("GET", "/a")))
                await arrived.wait()
                if ending == "renewed":
                    for _ in range(3):
                        await tokens.instead(await tokens.current())
                    # Those that nobody used are gone.
                    assert [each.is_closed for each in made] == [False, True, True, False]
                end = asyncio.create_task(tokens.close())
                done, _pending = await asyncio.wait([end], timeout=0)
                assert not done or ending == "renewed"
                go_on.set()
                assert (await call).status_code == 200
                await end
                assert all(each.is_closed for each in made), ending

    async def test_a_connection_that_was_closed_meanwhile_is_not_used(self) -> None:
        def well(_: httpx.Request) -> httpx.Response:
            return httpx.Response(200)

        given = Given([httpx.MockTransport(well), httpx.MockTransport(well)])
        await given.held[0].retire()
        assert (await Caller(SETTINGS, given, can_step_up=False).call(Call("GET", "/a"))).status_code == 200
        assert not given.held

    async def test_who_waits_is_told_that_it_was_closed(self) -> None:
        begun = asyncio.Event()

        async def never(*_: object) -> Granted:
            begun.set()
            await asyncio.Event().wait()
            raise AssertionError

        with (
            connected(served()),
            mock.patch("agent.token.AuthorizationServer.discover", mock.AsyncMock()),
        ):
            tokens = Tokens(SETTINGS, never)
            waiting = [asyncio.create_task(tokens.current()) for _ in range(2)]
            await begun.wait()
            await tokens.close()
            for each in waiting:
                with self.assertRaises(NoToken):
                    await each
            with self.assertRaises(NoToken):
                await tokens.current()


class Given:
    """Tokens that come one after the other."""

    proofs = None

    def __init__(self, transports: list[httpx.MockTransport]) -> None:
        self.held = [Held(Granted("a", 300, None), httpx.AsyncClient(transport=each)) for each in transports]

    async def current(self) -> Held:
        return self.held.pop(0)

    async def instead(self, *_: object) -> Held:
        raise AssertionError


class Lifetimes(unittest.TestCase):
    def test_no_token_is_held_for_longer_than_ten_minutes(self) -> None:
        for lifetime in (3600, 1e300):
            with mock.patch("agent.token.time.monotonic") as now:
                now.return_value = 0
                held = Held(Granted("secret", lifetime, None), httpx.AsyncClient())
                now.return_value = 569.9
                assert held.fresh
                now.return_value = 570.1
                assert not held.fresh


if __name__ == "__main__":
    unittest.main()
