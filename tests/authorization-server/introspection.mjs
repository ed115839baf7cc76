// An independent authorization server on the loopback whose access tokens are opaque: DPoP-bound ones for one client, and
// another client that asks about them.
// Usage: see provider.mjs.
import { audience, lifetime, newProvider, registered, scope, serve } from './provider.mjs';

const answered = { introspection_signed_response_alg: 'ES256' };

serve(
  newProvider(
    {
      clients: [
        await registered('crm-bot', { grant_types: ['client_credentials'], ...answered }),
        await registered('exequatur', { grant_types: [], dpop_bound_access_tokens: false, ...answered }),
      ],
      scopes: scope.split(' '),
      enabledJWA: { introspectionSigningAlgValues: ['ES256'] },
      features: {
        clientCredentials: { enabled: true },
        introspection: { enabled: true },
        jwtIntrospection: { enabled: true },
        revocation: { enabled: true },
      },
      extraTokenClaims: () => ({ tenant: 'acme', on_behalf_of: 'alice' }),
    },
    () => ({ scope, audience, accessTokenFormat: 'opaque', accessTokenTTL: lifetime }),
  ),
);
