// An independent authorization server at which a user logs in: DPoP-bound JWT access tokens that say how and when.
// Whoever comes to log in is alice, and the request decides by what: a class that it asks for and that she can do, else a
// password. Her first login is an hour ago.
// Usage: node step_up_server.mjs PORT AUDIENCE CLIENT_KEY_FILE
import { writeFileSync } from 'node:fs';

import * as jose from 'jose';
import { Provider, interactionPolicy } from 'oidc-provider';

const [port, audience, clientKeyFile] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const scope = 'documents:read documents:write';
const methods = { 'urn:example:password': ['pwd'], 'urn:example:key': ['pwd', 'hwk'] };

async function signingKey(kid) {
  const { privateKey, publicKey } = await jose.generateKeyPair('ES256', { extractable: true });
  const labels = { alg: 'ES256', kid, use: 'sig' };
  return {
    private: { ...(await jose.exportJWK(privateKey)), ...labels },
    public: { ...(await jose.exportJWK(publicKey)), ...labels },
  };
}

// `acr_values` are wishes to the library; a session of another class is asked to log in anew, once.
const policy = interactionPolicy.base();
policy.get('login').checks.add(
  new interactionPolicy.Check('other_class', 'a login of another class is asked for', ({ oidc }) => {
    const asked = oidc.params.acr_values?.split(' ') ?? [];
    return asked.length > 0 && !asked.includes(oidc.acr) && !oidc.result?.login;
  }),
);

const server = await signingKey('as-1');
const client = await signingKey('crm-bot-1');

const provider = new Provider(issuer, {
  jwks: { keys: [server.private] },
  clients: [
    {
      client_id: 'crm-bot',
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'ES256',
      id_token_signed_response_alg: 'ES256',
      jwks: { keys: [client.public] },
      grant_types: ['authorization_code'],
      redirect_uris: ['https://crm-bot.example.com/callback'],
      response_types: ['code'],
      dpop_bound_access_tokens: true,
    },
  ],
  scopes: ['openid'],
  acrValues: Object.keys(methods),
  enabledJWA: { dPoPSigningAlgValues: ['ES256'] },
  interactions: { policy, url: (_context, { uid }) => `/login/${uid}` },
  findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  async loadExistingGrant({ oidc }) {
    const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
    grant.addOIDCScope('openid');
    grant.addResourceScope(audience, scope);
    await grant.save();
    return grant;
  },
  features: {
    devInteractions: { enabled: false },
    dPoP: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => audience,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope,
        audience,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 300,
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
  extraTokenClaims({ oidc }) {
    const { acr, amr, authTime } = oidc.entities.AuthorizationCode;
    return { tenant: 'acme', acr, amr, auth_time: authTime };
  },
});

provider.use(async (context, next) => {
  if (!context.path.startsWith('/login/')) return next();
  const { params, session } = await provider.interactionDetails(context.req, context.res);
  const asked = params.acr_values?.split(' ').find((name) => name in methods);
  const acr = asked ?? 'urn:example:password';
  const now = Math.floor(Date.now() / 1000);
  const login = { accountId: 'alice', acr, amr: methods[acr], ts: session ? now : now - 3600 };
  await provider.interactionFinished(context.req, context.res, { login });
  context.respond = false;
});

provider.on('server_error', (_context, error) => console.error('server_error', error));
writeFileSync(clientKeyFile, JSON.stringify(client.private), { mode: 0o600 });
provider.listen(Number(port), '127.0.0.1', () => console.log('listening'));
