"""Connections to the authorization server and to the API, over mutual TLS where the agent has a certificate."""

import asyncio
import ssl

import certifi
import httpx

from agent.settings import Settings


def connect(settings: Settings) -> httpx.AsyncClient:
    """With the certificate as it is on disk now: one that was replaced is used from the next token on."""
    context = ssl.create_default_context(cafile=certifi.where())
    if settings.authorities_file:
        context.load_verify_locations(settings.authorities_file)
    if settings.certificate_file:
        context.load_cert_chain(settings.certificate_file, settings.certificate_key_file)
    # No redirect is followed: a token is for the place that it was got for. And no proxy is taken from the environment:
    # over plain HTTP, as on this machine, it would see the tokens.
    return httpx.AsyncClient(
        verify=context, timeout=httpx.Timeout(30, connect=10), follow_redirects=False, trust_env=False
    )


# Seconds between the attempts to read files that are just being replaced: certificate and key may not fit for a moment.
PAUSES = (0.1, 0.3, 0.9)


async def connect_when_whole(settings: Settings) -> httpx.AsyncClient:
    """Raises an OSError where the files cannot be used for longer than they take to be replaced."""
    for pause in PAUSES:
        try:
            return connect(settings)
        except OSError:
            await asyncio.sleep(pause)
    return connect(settings)
