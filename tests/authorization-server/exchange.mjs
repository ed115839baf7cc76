// An authorization server on the loopback at which users sign in to a front end, and agents act for them in turn:
// authorization code (RFC 6749 §4.1), client credentials (§4.4) and token exchange (RFC 8693). Its access tokens are JWTs
// (RFC 9068), bound by DPoP (RFC 9449).
// Usage: see provider.mjs. bob alone says whom he lets act for him (`may_act`).
import { createServer } from 'node:http';

import * as jose from 'jose';
import { errors } from 'oidc-provider';
import { buildTokenResponse, checkDpopReplay, validateDpop } from 'oidc-provider/lib/helpers/grants.js';

import {
  audience,
  issuer,
  lifetime,
  newProvider,
  ofJwts,
  otherAudience,
  registered,
  serve,
  verifyingKey,
} from './provider.mjs';

const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token';
const users = { alice: {}, bob: { may_act: { sub: 'agent-a' } } };

const clients = [
  await registered('frontend', {
    grant_types: ['authorization_code'],
    response_types: ['code'],
    redirect_uris: ['https://frontend.example.com/signed-in'],
  }),
];
for (const letter of 'abcdef') {
  clients.push(await registered(`agent-${letter}`, { grant_types: ['client_credentials', tokenExchange] }));
}
// A client with the id of a user.
clients.push(await registered('alice', { grant_types: ['client_credentials'] }));

// One of the two resource servers.
function api(resource) {
  if (resource !== audience && resource !== otherAudience) throw new errors.InvalidTarget();
  return ofJwts(resource);
}

// What an exchange adds to the token that it saves.
const exchanged = new WeakMap();

const settings = {
  clients,
  cookies: { keys: [crypto.randomUUID()] },
  features: { clientCredentials: { enabled: true } },
  ttl: { AccessToken: lifetime, ClientCredentials: lifetime, AuthorizationCode: 60, Session: 600, Grant: 600, Interaction: 60 },
  interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_context, id) => (Object.hasOwn(users, id) ? { accountId: id, claims: () => ({ sub: id }) } : undefined),
  loadExistingGrant: grantAll,
  extraTokenClaims: (_context, token) => ({
    tenant: 'acme',
    ...(token.kind === 'ClientCredentials'
      ? { gty: 'client-credentials' }
      : (exchanged.get(token) ?? { sid: token.sessionUid, ...users[token.accountId] })),
  }),
};
const provider = newProvider(settings, api);

// Nobody is asked for consent: whoever signs in lets the client have the scopes that it asks for.
async function grantAll(context) {
  const { client, session, params, resourceServers } = context.oidc;
  const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  for (const resource of Object.keys(resourceServers)) grant.addResourceScope(resource, params.scope);
  await grant.save();
  return grant;
}

// The token that this server issued, or an end of the exchange.
async function issuedHere(value, type) {
  if (type !== accessTokenType) throw new errors.InvalidRequest('only access tokens are exchanged');
  try {
    const options = { issuer, typ: 'at+jwt', algorithms: ['ES256'] };
    return (await jose.jwtVerify(value, verifyingKey, options)).payload;
  } catch (cause) {
    throw new errors.InvalidGrant('not a token of this server, or not any more', { cause });
  }
}

// RFC 8693. The client that asks is the one that acts, and says so with an actor token if it likes. The new token is never more
// than the subject token: no further scope, no other audience, no longer life.
async function exchange(context) {
  const { client, params } = context.oidc;
  const proof = await validateDpop(provider, context);
  if (!proof) throw new errors.InvalidGrant('DPoP proof JWT not provided');
  const subject = await issuedHere(params.subject_token, params.subject_token_type);
  if (subject.gty === 'client-credentials') throw new errors.InvalidGrant('the subject is no user');
  if (subject.may_act && subject.may_act.sub !== client.clientId) {
    throw new errors.InvalidGrant('the subject token may not be used by this actor');
  }
  if (params.actor_token !== undefined) {
    const actor = await issuedHere(params.actor_token, params.actor_token_type);
    if (actor.gty !== 'client-credentials' || actor.client_id !== client.clientId) {
      throw new errors.InvalidGrant("the actor token is not this client's own");
    }
  }
  const had = subject.scope?.split(' ') ?? [];
  const asked = params.scope?.split(' ') ?? had;
  if (!asked.every((one) => had.includes(one))) throw new errors.InvalidScope('more than the subject token has', params.scope);
  const resource = params.resource ?? subject.aud;
  if (resource !== subject.aud) throw new errors.InvalidTarget('another audience than that of the subject token');

  const token = new provider.AccessToken({
    accountId: subject.sub,
    client,
    gty: tokenExchange,
    scope: asked.join(' '),
    expiresIn: Math.min(lifetime, subject.exp - Math.floor(Date.now() / 1000)),
  });
  token.resourceServer = new provider.ResourceServer(resource, api(resource));
  await checkDpopReplay(provider, context, proof, client.clientId);
  token.setThumbprint('jkt', proof.thumbprint);
  exchanged.set(token, {
    sid: subject.sid,
    may_act: subject.may_act,
    act: { sub: client.clientId, act: subject.act },
  });
  context.oidc.entity('AccessToken', token);
  context.body = buildTokenResponse(provider, {
    accessToken: await token.save(),
    expiresIn: token.expiration,
    scope: token.scope,
    issuedTokenType: accessTokenType,
    tokenType: token.tokenType,
  });
}

const parameters = [
  'subject_token',
  'subject_token_type',
  'actor_token',
  'actor_token_type',
  'requested_token_type',
  'resource',
  'scope',
];
provider.registerGrantType(tokenExchange, exchange, parameters);

// Whoever is named as `login_hint` is signed in.
async function signIn(request, response) {
  const { params } = await provider.interactionDetails(request, response);
  const login = { accountId: params.login_hint };
  await provider.interactionFinished(request, response, { login });
}

const answer = provider.callback();
serve(
  createServer((request, response) => {
    if (!request.url.startsWith('/interaction/')) return answer(request, response);
    return signIn(request, response).catch((error) => {
      console.error(error);
      response.statusCode = 500;
      response.end();
    });
  }),
);
