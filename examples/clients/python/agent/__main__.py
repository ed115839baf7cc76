"""An agent to try.

It reads calls from its input, one a line (`GET /tenants/acme/documents/plan`), and prints a line of JSON about each.

Usage: python3 -m agent SETTINGS [--for-user]

With --for-user somebody signs in first: it prints the address to open, and reads the one that the browser is sent to.
"""

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

from agent.answer import Step
from agent.authorization_server import NoToken
from agent.call import Call, Caller, NoAnswer, Refused
from agent.settings import read_settings
from agent.sign_in import sign_in
from agent.token import Tokens


def say(line: dict[str, object]) -> None:
    print(json.dumps(line), flush=True)


async def next_line() -> str | None:
    line = await asyncio.to_thread(sys.stdin.readline)
    return line.strip() or None


async def browser(address: str) -> str:
    say({"sign_in": address})
    back = await next_line()
    if back is None:
        raise NoToken("nobody signed in")
    return back


async def main(file: Path, for_user: bool) -> None:
    try:
        settings = read_settings(file)
        tokens = Tokens(settings, sign_in(settings, browser) if for_user else None)
    except ValueError as error:
        sys.exit(str(error))
    caller = Caller(settings, tokens, can_step_up=for_user)
    while line := await next_line():
        method, _, rest = line.partition(" ")
        path, _, body = rest.partition(" ")
        steps: list[Step] = []
        said: dict[str, object]
        try:
            call = Call(method, path, body or None)
            response = await caller.call(call, steps.append)
            said = {"status": response.status_code, "body": response.text}
        except Refused as refused:
            answer = refused.answer
            said = {
                "refused": answer.reason,
                "status": answer.status,
                "decision": answer.decision,
                "retry_after": answer.retry_after,
                "step_up": asdict(answer.step_up) if answer.step_up else None,
            }
        except (NoToken, NoAnswer, ValueError) as error:
            said = {"failed": f"{type(error).__name__}: {error}"}
        say(said | {"followed": [step.value for step in steps]})
    await tokens.close()


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or sys.argv[2:] not in ([], ["--for-user"]):
        sys.exit("usage: python3 -m agent SETTINGS [--for-user]")
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:] == ["--for-user"]))
