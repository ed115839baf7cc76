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
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { join } from 'node:path';

import * as oauth from 'oauth4webapi';

const [issuer, keysFolder] = process.argv.slice(2);
const insecure = { [oauth.allowInsecureRequests]: true };
const redirectUri = 'https://frontend.example.com/signed-in';
const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token';

const issuerUrl = new URL(issuer);
const server = await oauth.processDiscoveryResponse(issuerUrl, await oauth.discoveryRequest(issuerUrl, insecure));

// Of the stream: whether what begins now is counted apart, and how many of its calls have ended.
let [marked, ended] = [false, 0];

// Each is there from its first order on, with the same keys.
const parties = new Map();
function party(name) {
  if (!parties.has(name)) parties.set(name, enter(name));
  return parties.get(name);
}

async function enter(name) {
  const client = { client_id: name };
  const jwk = JSON.parse(readFileSync(join(keysFolder, `${name}.json`), 'utf8'));
  const key = await crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
  const authentication = oauth.PrivateKeyJwt({ key, kid: jwk.kid });
  return { client, authentication, DPoP: oauth.DPoP(client, await oauth.generateKeyPair('ES256')) };
}

// The library keeps the nonce it was given: a second try uses it.
async function followingNonce(attempt) {
  try {
    return await attempt();
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    return attempt();
  }
}

// The code of the authorization server's refusal; whatever else went wrong is our own fault.
async function granted(request) {
  try {
    return { token: (await followingNonce(request)).access_token };
  } catch (error) {
    if (!(error instanceof oauth.ResponseBodyError)) throw error;
    return { error: error.error };
  }
}

function asked({ scope, resource }) {
  return Object.fromEntries(Object.entries({ scope, resource }).filter(([, value]) => value !== undefined));
}

// What a browser does: follows redirects, and keeps cookies, until it is sent back to the front end.
async function browse(url) {
  const cookies = new Map();
  let next = url;
  for (let hop = 0; hop < 10; hop += 1) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(next, { redirect: 'manual', headers: cookie ? { cookie } : {} });
    for (const set of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(set);
      if (value) cookies.set(name, value);
      else cookies.delete(name);
    }
    const location = response.headers.get('location');
    if (!location) throw new Error(`${next.pathname} answered ${response.status}: ${await response.text()}`);
    next = new URL(location, next);
    if (next.href.startsWith(redirectUri)) return next;
  }
  throw new Error('sent from place to place');
}

const orders = {
  async sign_in({ as, user, scope, resource }) {
    const { client, authentication, DPoP } = await party(as);
    const [verifier, state] = [oauth.generateRandomCodeVerifier(), oauth.generateRandomState()];
    const url = new URL(server.authorization_endpoint);
    url.search = new URLSearchParams({
      client_id: client.client_id,
      response_type: 'code',
      redirect_uri: redirectUri,
      login_hint: user,
      state,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      ...asked({ scope, resource }),
    });
    const parameters = oauth.validateAuthResponse(server, client, await browse(url), state);
    return granted(async () => {
      const options = { DPoP, ...insecure };
      const response = await oauth.authorizationCodeGrantRequest(
        server,
        client,
        authentication,
        parameters,
        redirectUri,
        verifier,
        options,
      );
      return oauth.processAuthorizationCodeResponse(server, client, response);
    });
  },

  async own({ as, scope, resource }) {
    const { client, authentication, DPoP } = await party(as);
    return granted(async () => {
      const parameters = new URLSearchParams(asked({ scope, resource }));
      const options = { DPoP, ...insecure };
      const response = await oauth.clientCredentialsGrantRequest(server, client, authentication, parameters, options);
      return oauth.processClientCredentialsResponse(server, client, response);
    });
  },

  async exchange({ as, subject, actor, scope, resource }) {
    const { client, authentication, DPoP } = await party(as);
    const parameters = new URLSearchParams({
      subject_token: subject,
      subject_token_type: accessTokenType,
      ...(actor === undefined ? {} : { actor_token: actor, actor_token_type: accessTokenType }),
      ...asked({ scope, resource }),
    });
    return granted(async () => {
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
  },

  async call({ as, token, method = 'GET', url }) {
    const { DPoP } = await party(as);
    const options = { DPoP, ...insecure };
    const response = await followingNonce(() =>
      called(oauth.protectedResourceRequest(token, method, new URL(url), new Headers(), null, options)),
    );
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

// A refusal with a challenge is an answer; a demand for a nonce is not yet one.
async function called(request) {
  try {
    return await request;
  } catch (error) {
    if (error instanceof oauth.WWWAuthenticateChallengeError && !oauth.isDPoPNonceError(error)) return error.response;
    throw error;
  }
}

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
