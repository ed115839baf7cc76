// A stock client that knows nothing of what a resource asks of its user: it gets a token, calls, and where it is told that another
// authentication is needed (RFC 9470) asks for just that, once, and calls again. Prints one line of JSON.
// Usage: node step_up_client.mjs ISSUER CLIENT_KEY_FILE URL
import { readFileSync } from 'node:fs';

import * as jose from 'jose';
import * as oauth from 'oauth4webapi';

const [issuer, clientKeyFile, url] = process.argv.slice(2);
const insecure = { [oauth.allowInsecureRequests]: true };
const redirectUri = 'https://crm-bot.example.com/callback';

const issuerUrl = new URL(issuer);
const server = await oauth.processDiscoveryResponse(issuerUrl, await oauth.discoveryRequest(issuerUrl, insecure));
const client = { client_id: 'crm-bot', id_token_signed_response_alg: 'ES256' };
const jwk = JSON.parse(readFileSync(clientKeyFile, 'utf8'));
const key = await crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
const authentication = oauth.PrivateKeyJwt({ key, kid: jwk.kid });
const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'));

// The library keeps the nonce it was given: a second try uses it.
async function followingNonce(attempt) {
  try {
    return await attempt();
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    return attempt();
  }
}

// The user's browser: follows redirects up to the client's own address, and keeps cookies.
const cookies = new Map();
async function browse(address) {
  let location = new URL(address);
  while (!location.href.startsWith(redirectUri)) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(location, { redirect: 'manual', headers: cookie ? { cookie } : {} });
    for (const field of response.headers.getSetCookie()) {
      const [name, value] = field.split(';', 1)[0].split('=');
      if (value) cookies.set(name, value);
      else cookies.delete(name);
    }
    const next = response.headers.get('location');
    if (!next) throw new Error(`${location.pathname}: ${response.status} ${await response.text()}`);
    location = new URL(next, location);
  }
  return location;
}

// An authorization request with PKCE; `parameters` are what a challenge asked for.
async function authorize(parameters) {
  const verifier = oauth.generateRandomCodeVerifier();
  const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()];
  const request = new URL(server.authorization_endpoint);
  request.search = new URLSearchParams({
    client_id: client.client_id,
    redirect_uri: redirectUri,
    response_type: 'code',
    scope: 'openid documents:read',
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
    ...parameters,
  });
  const answer = oauth.validateAuthResponse(server, client, await browse(request), state);
  return followingNonce(async () => {
    const response = await oauth.authorizationCodeGrantRequest(
      server,
      client,
      authentication,
      answer,
      redirectUri,
      verifier,
      { DPoP, ...insecure },
    );
    const checks = { expectedNonce: nonce, requireIdToken: true };
    if (parameters.max_age !== undefined) checks.maxAge = Number(parameters.max_age);
    return oauth.processAuthorizationCodeResponse(server, client, response, checks);
  });
}

const calls = [];
const tokens = [];
async function call(token) {
  const { acr, auth_time: time } = jose.decodeJwt(token.access_token);
  tokens.push({ acr, age: Math.floor(Date.now() / 1000) - time });
  try {
    const response = await followingNonce(() =>
      oauth.protectedResourceRequest(token.access_token, 'GET', new URL(url), new Headers(), null, {
        DPoP,
        ...insecure,
      }),
    );
    calls.push(response.status);
  } catch (error) {
    if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw error;
    calls.push(error.status);
    return error.cause;
  }
  return [];
}

const challenges = await call(await authorize({}));
const stepUp = challenges.find(({ parameters }) => parameters.error === 'insufficient_user_authentication');
if (stepUp) {
  const { acr_values, max_age } = stepUp.parameters;
  const asked = Object.entries({ acr_values, max_age }).filter(([, value]) => value !== undefined);
  await call(await authorize(Object.fromEntries(asked)));
}
console.log(JSON.stringify({ calls, tokens, challenges }));
