"""What the API says of itself (protected resource metadata, RFC 9728): whose tokens count there."""

from urllib.parse import urlsplit, urlunsplit

import httpx

from agent.authorization_server import NoToken
from agent.settings import Settings, origin


async def issuer_of(settings: Settings, connection: httpx.AsyncClient) -> str:
    """The authorization server to ask: of those that the resource names, the one that is trusted most.

    The agent's key and the user's consent are for servers that its operator knows: whoever can change what a resource
    says of itself chooses among these, and no other.
    """
    if settings.issuer is not None:
        return settings.issuer
    answer = await connection.get(metadata_address(settings.resource), headers={"accept": "application/json"})
    metadata = answer.raise_for_status().json()
    # Section 3.3: otherwise they are another's, and a token for the other would go to this one.
    if not isinstance(metadata, dict) or metadata.get("resource") != settings.resource:
        raise NoToken(f"the metadata are not those of {settings.resource}")
    named = metadata.get("authorization_servers")
    for issuer in settings.trusted_issuers:
        if isinstance(named, list) and issuer in named:
            return issuer
    raise NoToken(f"{settings.resource} names no authorization server that is trusted")


def metadata_address(resource: str) -> str:
    """Section 3.1: the well-known part stands between host and path."""
    origin(resource)
    parts = urlsplit(resource)
    if parts.query or parts.fragment:
        raise ValueError(f"{resource} is no identifier of a resource: it has a query or a fragment")
    path = "/.well-known/oauth-protected-resource" + ("" if parts.path == "/" else parts.path)
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))
