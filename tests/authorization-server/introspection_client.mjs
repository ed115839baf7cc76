// A stock client with an opaque, DPoP-bound token. For each line of its input it does one thing, and prints one line of JSON:
// `token` gets a token, `call` calls the protected resource with it, `revoke` gives it back.
// Usage: node introspection_client.mjs ISSUER KEYS_FOLDER AUDIENCE URL
import { createInterface } from 'node:readline';

import * as oauth from 'oauth4webapi';

import { called, insecure, ownToken, particulars, party, server } from './party.mjs';

const [audience, url] = particulars;
const bot = await party('crm-bot');
let token;

const actions = {
  async token() {
    token = await ownToken(bot, { scope: 'documents:read', resource: audience });
    return { parts: token.access_token.split('.').length, type: token.token_type };
  },
  async call() {
    const response = await called(bot, token.access_token, 'GET', url);
    const text = await response.text();
    return { status: response.status, reason: response.status === 200 ? null : JSON.parse(text).reason };
  },
  async revoke() {
    const { client, authentication } = bot;
    const response = await oauth.revocationRequest(server, client, authentication, token.access_token, insecure);
    await oauth.processRevocationResponse(response);
    return { revoked: true };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await actions[line]()));
}
