// A stock client: gets a DPoP-bound token and calls a protected resource with it. Prints `paused` after two calls,
// goes on with a third at the end of its input, then prints one line of JSON.
// Usage: node client.mjs ISSUER CLIENT_KEY_FILE AUDIENCE URL
import { readFileSync } from 'node:fs';

import * as jose from 'jose';
import * as oauth from 'oauth4webapi';

const [issuer, clientKeyFile, audience, url] = process.argv.slice(2);
const insecure = { [oauth.allowInsecureRequests]: true };

const issuerUrl = new URL(issuer);
const server = await oauth.processDiscoveryResponse(issuerUrl, await oauth.discoveryRequest(issuerUrl, insecure));
const client = { client_id: 'crm-bot' };
const jwk = JSON.parse(readFileSync(clientKeyFile, 'utf8'));
const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
const key = await crypto.subtle.importKey('jwk', jwk, algorithm, false, ['sign']);
const authentication = oauth.PrivateKeyJwt({ key, kid: jwk.kid });
const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'));

// The library keeps the nonce it was given: a second try uses it.
async function followingNonce(attempt) {
  try {
    return { result: await attempt(), nonceFollowed: false };
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    return { result: await attempt(), nonceFollowed: true };
  }
}

const { result: token } = await followingNonce(async () => {
  const parameters = new URLSearchParams({ scope: 'documents:read', resource: audience });
  const options = { DPoP, ...insecure };
  const response = await oauth.clientCredentialsGrantRequest(server, client, authentication, parameters, options);
  return oauth.processClientCredentialsResponse(server, client, response);
});

const calls = [];
for (let i = 0; i < 3; i += 1) {
  if (i === 2) {
    console.log('paused');
    for await (const _ of process.stdin);
  }
  const { result, nonceFollowed } = await followingNonce(() =>
    oauth.protectedResourceRequest(token.access_token, 'GET', new URL(url), new Headers(), null, {
      DPoP,
      ...insecure,
    }),
  );
  calls.push({ status: result.status, nonceFollowed, body: await result.text() });
}

console.log(
  JSON.stringify({
    tokenType: token.token_type,
    bound: typeof jose.decodeJwt(token.access_token).cnf?.jkt === 'string',
    calls,
  }),
);
