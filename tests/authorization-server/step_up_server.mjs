// An independent authorization server at which a user logs in: DPoP-bound JWT access tokens that say how and when.
// Whoever comes to log in is alice, and the request decides by what: a class that it asks for and that she can do, else a
// password. Her first login is an hour ago.
// Usage: see provider.mjs.
import { interactionPolicy } from 'oidc-provider';

import { audience, newProvider, registered, scope, serve } from './provider.mjs';

const methods = { 'urn:example:password': ['pwd'], 'urn:example:key': ['pwd', 'hwk'] };

// `acr_values` are wishes to the library; a session of another class is asked to log in anew, once.
const policy = interactionPolicy.base();
policy.get('login').checks.add(
  new interactionPolicy.Check('other_class', 'a login of another class is asked for', ({ oidc }) => {
    const asked = oidc.params.acr_values?.split(' ') ?? [];
    return asked.length > 0 && !asked.includes(oidc.acr) && !oidc.result?.login;
  }),
);

const server = newProvider({
  clients: [
    await registered('crm-bot', {
      grant_types: ['authorization_code'],
      redirect_uris: ['https://crm-bot.example.com/callback'],
      response_types: ['code'],
    }),
  ],
  scopes: ['openid'],
  acrValues: Object.keys(methods),
  interactions: { policy, url: (_context, { uid }) => `/login/${uid}` },
  findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  async loadExistingGrant({ oidc }) {
    const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
    grant.addOIDCScope('openid');
    grant.addResourceScope(audience, scope);
    await grant.save();
    return grant;
  },
  extraTokenClaims({ oidc }) {
    const { acr, amr, authTime } = oidc.entities.AuthorizationCode;
    return { tenant: 'acme', acr, amr, auth_time: authTime };
  },
});

server.use(async (context, next) => {
  if (!context.path.startsWith('/login/')) return next();
  const { params, session } = await server.interactionDetails(context.req, context.res);
  const asked = params.acr_values?.split(' ').find((name) => name in methods);
  const acr = asked ?? 'urn:example:password';
  const now = Math.floor(Date.now() / 1000);
  const login = { accountId: 'alice', acr, amr: methods[acr], ts: session ? now : now - 3600 };
  await server.interactionFinished(context.req, context.res, { login });
  context.respond = false;
});

serve(server);
