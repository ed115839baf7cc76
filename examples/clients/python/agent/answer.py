"""What an answer of the API says, and what is to be done about it. Nothing here does it."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum

import httpx

from agent.token import StepUp


class Step(Enum):
    DONE = "done"
    NONCE = "nonce"
    RENEW = "renew"
    STEP_UP = "step_up"
    WAIT = "wait"
    REFUSED = "refused"


@dataclass(frozen=True)
class Answer:
    status: int
    # The parameters of each challenge that a WWW-Authenticate field names.
    challenges: Sequence[Mapping[str, str]]
    nonce: bool
    # Seconds, where the answer says when to come again.
    retry_after: float | None
    # Of a problem document that is Exequatur's: why, and under which id the decision was recorded.
    reason: str | None
    decision: str | None

    def challenge(self, error: str) -> Mapping[str, str] | None:
        return next((challenge for challenge in self.challenges if challenge.get("error") == error), None)

    @property
    def step_up(self) -> StepUp | None:
        asked = self.challenge("insufficient_user_authentication")
        if asked is None:
            return None
        max_age = asked.get("max_age", "")
        return StepUp(asked.get("acr_values"), int(max_age) if re.fullmatch("[0-9]{1,9}", max_age) else None)


# Refusals of a token that another token may not meet. No other does: an agent that is revoked stays so.
OF_THIS_TOKEN = {"token_expired", "token_revoked", "token_inactive", "token_key_unknown", "mtls_cert_mismatch"}


def next_step(answer: Answer, harmless: bool) -> Step:
    """`harmless`: the call may be made twice (GET, HEAD, PUT, DELETE, OPTIONS)."""
    if answer.status == 401:
        # Nothing has happened yet: it is for want of credentials that it did not.
        if answer.challenge("use_dpop_nonce") is not None:
            return Step.NONCE if answer.nonce else Step.REFUSED
        if answer.step_up is not None:
            return Step.STEP_UP
        another_token = answer.reason is None or answer.reason in OF_THIS_TOKEN
        return Step.RENEW if answer.challenge("invalid_token") is not None and another_token else Step.REFUSED
    if answer.status in (429, 503):
        # A reason of Exequatur's says that the call went no further. Without one it may have.
        may_send_again = harmless or answer.reason is not None
        return Step.WAIT if answer.retry_after is not None and may_send_again else Step.REFUSED
    return Step.DONE if answer.reason is None else Step.REFUSED


def read_answer(response: httpx.Response) -> Answer:
    reason, decision = exequaturs(response) or (None, None)
    return Answer(
        status=response.status_code,
        challenges=[one for field in response.headers.get_list("www-authenticate") for one in challenges(field)],
        nonce="dpop-nonce" in response.headers,
        retry_after=_seconds(response.headers.get("retry-after")),
        reason=reason,
        decision=decision,
    )


# A parameter, or the scheme of the next challenge (RFC 9110 section 11.6.1).
_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PART = re.compile(rf'[\s,]*(?:({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_WORD}))|({_WORD})(?=\s|,|$))')


def challenges(field: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    position = 0
    while part := _PART.match(field, position):
        name, quoted, plain, scheme = part.groups()
        if scheme is not None:
            found.append({})
        elif found:
            found[-1].setdefault(name.lower(), plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
        position = part.end()
    return found


def _seconds(field: str | None) -> float | None:
    """Retry-After is a number of seconds, or a date (RFC 9110 section 10.2.3)."""
    if field is None:
        return None
    if re.fullmatch("[0-9]{1,9}", field):
        return float(field)
    try:
        return max(0.0, parsedate_to_datetime(field).timestamp() - time.time())
    except ValueError:
        return None


# The type of a refusal by limits that are named (draft-ietf-httpapi-ratelimit-headers).
QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"


def exequaturs(response: httpx.Response) -> tuple[str, str] | None:
    """Reason and decision of a problem document of Exequatur's.

    The service behind it may answer with problem documents too, and may have a `reason` in them. So the type has to be
    that of the reason, and a decision has to be named.
    """
    if response.headers.get("content-type", "").split(";")[0].strip().lower() != "application/problem+json":
        return None
    try:
        problem = response.json()
    except ValueError:
        return None
    if not isinstance(problem, dict):
        return None
    kind, reason, decision = (problem.get(name) for name in ("type", "reason", "decision"))
    if not (isinstance(reason, str) and reason and isinstance(decision, str) and decision):
        return None
    by_limits = reason == "rate_limited" and isinstance(problem.get("violated-policies"), list)
    own = kind == f"urn:exequatur:reason:{reason}" or (kind == QUOTA_EXCEEDED and by_limits)
    return (reason, decision) if own else None
