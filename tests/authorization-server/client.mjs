// A stock client: gets a DPoP-bound token and calls a protected resource with it. Prints `paused` after two calls,
// goes on with a third at the end of its input, then prints one line of JSON.
// Usage: node client.mjs ISSUER KEYS_FOLDER AUDIENCE URL
import * as jose from 'jose';

import { called, ownToken, particulars, party } from './party.mjs';

const [audience, url] = particulars;
const bot = await party('crm-bot');
const token = await ownToken(bot, { scope: 'documents:read', resource: audience });

const calls = [];
for (let i = 0; i < 3; i += 1) {
  if (i === 2) {
    console.log('paused');
    for await (const _ of process.stdin);
  }
  let nonceFollowed = false;
  const response = await called(bot, token.access_token, 'GET', url, () => {
    nonceFollowed = true;
  });
  calls.push({ status: response.status, nonceFollowed, body: await response.text() });
}

console.log(
  JSON.stringify({
    tokenType: token.token_type,
    bound: typeof jose.decodeJwt(token.access_token).cnf?.jkt === 'string',
    calls,
  }),
);
