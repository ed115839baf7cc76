"""Connections to the authorization server and to the API, over mutual TLS where the agent has a certificate."""

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
    # No redirect is followed: a token is for the place that it was got for.
    return httpx.AsyncClient(verify=context, timeout=httpx.Timeout(30, connect=10), follow_redirects=False)
