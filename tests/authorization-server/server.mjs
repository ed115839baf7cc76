// An independent authorization server on the loopback: DPoP-bound JWT access tokens for one client.
// Usage: see provider.mjs.
import { newProvider, registered, scope, serve } from './provider.mjs';

serve(
  newProvider({
    clients: [await registered('crm-bot', { grant_types: ['client_credentials'] })],
    scopes: scope.split(' '),
    features: { clientCredentials: { enabled: true } },
    extraTokenClaims: () => ({ tenant: 'acme', on_behalf_of: 'alice' }),
  }),
);
