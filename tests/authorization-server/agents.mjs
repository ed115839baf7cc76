// A user's front end and the agents that act for the user in turn: stock clients, each with its own keys.
// Usage: node agents.mjs ISSUER KEYS_FOLDER
// Each line of its input is an order in JSON with an `id`, each line of its output the answer with the same `id`:
//   { do: "sign_in", as, user, scope?, resource? }                the token of a user who has signed in at the client
//   { do: "own", as, scope?, resource? }                          a token of the client for itself
//   { do: "exchange", as, subject, actor?, scope?, resource? }    a token by which the client acts for the subject's user
//   { do: "call", as, token, method?, url }                       what a protected resource answers
//   { do: "stream", as, token, method?, url, width, after }       `width` calls at any time, until `after` have begun
//                                                                 since { do: "mark" }
// The first three answer { token }, or { error } with the code of the authorization server; `call` { status, reason, body };
// `stream`, of which there is one at a time, how many calls came to what, { before, after } the mark; { do: "ended" } how many of
// its calls have ended.
import { createInterface } from 'node:readline';

import * as oauth from 'oauth4webapi';

import { called, followingNonce, insecure, ownToken, party as enter, server, signedIn } from './party.mjs';

const redirectUri = 'https://frontend.example.com/signed-in';
const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token';

// Of the stream: whether what begins now is counted apart, and how many of its calls have ended.
let [marked, ended] = [false, 0];

// Each is there from its first order on, with the same keys.
const parties = new Map();
function party(name) {
  if (!parties.has(name)) parties.set(name, enter(name));
  return parties.get(name);
}

// The code of the authorization server's refusal; whatever else went wrong is our own fault.
async function granted(request) {
  try {
    return { token: (await request).access_token };
  } catch (error) {
    if (!(error instanceof oauth.ResponseBodyError)) throw error;
    return { error: error.error };
  }
}

function asked({ scope, resource }) {
  return Object.fromEntries(Object.entries({ scope, resource }).filter(([, value]) => value !== undefined));
}

const orders = {
  async sign_in({ as, user, scope, resource }) {
    const parameters = { login_hint: user, ...asked({ scope, resource }) };
    return granted(signedIn(await party(as), redirectUri, parameters));
  },

  async own({ as, scope, resource }) {
    return granted(ownToken(await party(as), asked({ scope, resource })));
  },

  async exchange({ as, subject, actor, scope, resource }) {
    const { client, authentication, DPoP } = await party(as);
    const parameters = new URLSearchParams({
      subject_token: subject,
      subject_token_type: accessTokenType,
      ...(actor === undefined ? {} : { actor_token: actor, actor_token_type: accessTokenType }),
      ...asked({ scope, resource }),
    });
    const request = followingNonce(async () => {
      const options = { DPoP, ...insecure };
      const response = await oauth.genericTokenEndpointRequest(
        server,
        client,
        authentication,
        tokenExchange,
        parameters,
        options,
      );
      return oauth.processGenericTokenEndpointResponse(server, client, response);
    });
    return granted(request);
  },

  async call({ as, token, method = 'GET', url }) {
    const response = await called(await party(as), token, method, url);
    const body = await response.text();
    return { status: response.status, reason: reasonOf(body), body };
  },

  async stream({ width, after, ...call }) {
    const outcomes = { before: {}, after: {} };
    let begun = 0;
    async function one() {
      while (begun < after) {
        const when = marked ? 'after' : 'before';
        if (marked) begun += 1;
        const { status, reason } = await orders.call(call);
        const outcome = `${status} ${reason}`.trim();
        outcomes[when][outcome] = (outcomes[when][outcome] ?? 0) + 1;
        ended += 1;
      }
    }
    [marked, ended] = [false, 0];
    await Promise.all(Array.from({ length: width }, one));
    return outcomes;
  },

  async mark() {
    marked = true;
    return {};
  },

  async ended() {
    return { ended };
  },
};

function reasonOf(body) {
  try {
    return JSON.parse(body).reason ?? '';
  } catch {
    return '';
  }
}

console.log('ready');
for await (const line of createInterface({ input: process.stdin })) {
  const { id, do: order, ...rest } = JSON.parse(line);
  orders[order](rest)
    .catch((error) => ({ failed: `${error.stack} ${error.cause ?? ''}` }))
    .then((answer) => console.log(JSON.stringify({ id, ...answer })));
}
