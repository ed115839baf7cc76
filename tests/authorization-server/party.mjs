// What the stock clients here have in common: each knows the server by its metadata, shows by a key who it is, and proves with another
// one that its tokens are its own.
// Usage of each: node SCRIPT ISSUER KEYS_FOLDER …
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import * as oauth from 'oauth4webapi';

const [issuer, keysFolder, ...more] = process.argv.slice(2);
// What a script is told beside.
export const particulars = more;
export const insecure = { [oauth.allowInsecureRequests]: true };

const issuerUrl = new URL(issuer);
export const server = await oauth.processDiscoveryResponse(
  issuerUrl,
  await oauth.discoveryRequest(issuerUrl, insecure),
);

// A client of this name, with new keys for its tokens.
export async function party(name) {
  const client = { client_id: name, id_token_signed_response_alg: 'ES256' };
  const jwk = JSON.parse(readFileSync(join(keysFolder, `${name}.json`), 'utf8'));
  const key = await crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
  const authentication = oauth.PrivateKeyJwt({ key, kid: jwk.kid });
  return { client, authentication, DPoP: oauth.DPoP(client, await oauth.generateKeyPair('ES256')) };
}

// The library keeps the nonce it was given: a second try uses it.
export async function followingNonce(attempt, followed = () => {}) {
  try {
    return await attempt();
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    followed();
    return attempt();
  }
}

// A token of the client's own.
export function ownToken({ client, authentication, DPoP }, parameters, followed) {
  return followingNonce(async () => {
    const asked = new URLSearchParams(parameters);
    const options = { DPoP, ...insecure };
    const response = await oauth.clientCredentialsGrantRequest(server, client, authentication, asked, options);
    return oauth.processClientCredentialsResponse(server, client, response);
  }, followed);
}

// A token by the authorization code (with PKCE) of a user whose browser has these cookies; `checks` are made of the answer.
export async function signedIn({ client, authentication, DPoP }, redirectUri, parameters, { cookies, checks } = {}) {
  const [verifier, state] = [oauth.generateRandomCodeVerifier(), oauth.generateRandomState()];
  const request = new URL(server.authorization_endpoint);
  request.search = new URLSearchParams({
    client_id: client.client_id,
    redirect_uri: redirectUri,
    response_type: 'code',
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    ...parameters,
  });
  const sentBack = await browse(request, redirectUri, cookies);
  const code = oauth.validateAuthResponse(server, client, sentBack, state);
  return followingNonce(async () => {
    const response = await oauth.authorizationCodeGrantRequest(
      server,
      client,
      authentication,
      code,
      redirectUri,
      verifier,
      { DPoP, ...insecure },
    );
    return oauth.processAuthorizationCodeResponse(server, client, response, checks);
  });
}

// What a protected resource answers. A refusal with a challenge is an error of the library's.
export function requested({ DPoP }, token, method, url, followed) {
  const options = { DPoP, ...insecure };
  return followingNonce(
    () => oauth.protectedResourceRequest(token, method, new URL(url), new Headers(), null, options),
    followed,
  );
}

// The same, where such a refusal is an answer as any other.
export async function called(...call) {
  try {
    return await requested(...call);
  } catch (error) {
    if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw error;
    return error.response;
  }
}

// What a browser does: follows redirects, and keeps cookies, until it is sent back to the client.
async function browse(address, redirectUri, cookies = new Map()) {
  let next = new URL(address);
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
