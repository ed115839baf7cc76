"""The agent's own token over a connection that shows another certificate: a thief's.

Usage: python3 other_certificate.py SETTINGS CERTIFICATE KEY PATH
"""

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path

from agent.authorization_server import Granted
from agent.call import Call, Caller, Refused
from agent.connection import connect
from agent.settings import read_settings
from agent.token import Held, Tokens


class Stolen:
    proofs = None

    def __init__(self, tokens, others):
        self.tokens, self.others = tokens, others

    async def current(self):
        return Held(Granted((await self.tokens.current()).reveal(), 300, None), self.others)

    async def instead(self, _used, _step_up=None):
        held = await self.tokens.instead(await self.tokens.current())
        return Held(Granted(held.reveal(), 300, None), self.others)


async def main(file, certificate, key, path):
    own = read_settings(Path(file))
    among = Path(file).parent
    others = connect(replace(own, certificate_file=among / certificate, certificate_key_file=among / key))
    tokens = Tokens(own)
    followed = []
    try:
        caller = Caller(own, Stolen(tokens, others), can_step_up=False)
        await caller.call(Call("GET", path), lambda step: followed.append(step.value))
    except Refused as refused:
        answer = refused.answer
        print(json.dumps({"refused": answer.reason, "status": answer.status, "followed": followed}))
    await tokens.close()
    await others.aclose()


asyncio.run(main(*sys.argv[1:]))
