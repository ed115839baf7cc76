// A stock client that knows nothing of what a resource asks of its user: it gets a token, calls, and where it is told that another
// authentication is needed (RFC 9470) asks for just that, once, and calls again. Prints one line of JSON.
// Usage: node step_up_client.mjs ISSUER KEYS_FOLDER URL
import * as jose from 'jose';
import * as oauth from 'oauth4webapi';

import { particulars, party, requested, signedIn } from './party.mjs';

const [url] = particulars;
const redirectUri = 'https://crm-bot.example.com/callback';
const bot = await party('crm-bot');
// Those of the user's browser.
const cookies = new Map();

// `parameters` are what a challenge asked for.
function authorize(parameters) {
  const nonce = oauth.generateRandomNonce();
  const checks = { expectedNonce: nonce, requireIdToken: true };
  if (parameters.max_age !== undefined) checks.maxAge = Number(parameters.max_age);
  const asked = { scope: 'openid documents:read', nonce, ...parameters };
  return signedIn(bot, redirectUri, asked, { cookies, checks });
}

const calls = [];
const tokens = [];
async function call(token) {
  const { acr, auth_time: time } = jose.decodeJwt(token.access_token);
  tokens.push({ acr, age: Math.floor(Date.now() / 1000) - time });
  try {
    const response = await requested(bot, token.access_token, 'GET', url);
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
