// A stock client with an opaque, DPoP-bound token. For each line of its input it does one thing, and prints one line of JSON:
// `token` gets a token, `call` calls the protected resource with it, `revoke` gives it back.
// Usage: node introspection_client.mjs ISSUER CLIENT_KEY_FILE AUDIENCE URL
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

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
let token;

// The library keeps the nonce it was given: a second try uses it.
async function followingNonce(attempt) {
  try {
    return await attempt();
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    return attempt();
  }
}

const actions = {
  async token() {
    const parameters = new URLSearchParams({ scope: 'documents:read', resource: audience });
    const options = { DPoP, ...insecure };
    token = await followingNonce(async () =>
      oauth.processClientCredentialsResponse(
        server,
        client,
        await oauth.clientCredentialsGrantRequest(server, client, authentication, parameters, options),
      ),
    );
    return { parts: token.access_token.split('.').length, type: token.token_type };
  },
  async call() {
    // Without the library's wrapper, which makes errors of challenges: what is told is told as it is.
    const request = () =>
      oauth.protectedResourceRequest(token.access_token, 'GET', new URL(url), new Headers(), null, { DPoP, ...insecure });
    try {
      const response = await followingNonce(request);
      const text = await response.text();
      return { status: response.status, reason: response.status === 200 ? null : JSON.parse(text).reason };
    } catch (error) {
      if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw error;
      return { status: error.response.status, reason: (await error.response.json()).reason };
    }
  },
  async revoke() {
    const response = await oauth.revocationRequest(server, client, authentication, token.access_token, insecure);
    await oauth.processRevocationResponse(response);
    return { revoked: true };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await actions[line]()));
}
