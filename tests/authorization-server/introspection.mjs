// An independent authorization server on the loopback whose access tokens are opaque: DPoP-bound ones for one client, and
// another client that asks about them.
// Usage: node introspection.mjs PORT AUDIENCE CLIENT_KEY_FILE ASKING_KEY_FILE
import { writeFileSync } from 'node:fs';

import * as jose from 'jose';
import { Provider } from 'oidc-provider';

const [port, audience, clientKeyFile, askingKeyFile] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;

async function signingKey(kid) {
  const { privateKey, publicKey } = await jose.generateKeyPair('ES256', { extractable: true });
  const labels = { alg: 'ES256', kid, use: 'sig' };
  return {
    pem: await jose.exportPKCS8(privateKey),
    private: { ...(await jose.exportJWK(privateKey)), ...labels },
    public: { ...(await jose.exportJWK(publicKey)), ...labels },
  };
}

const server = await signingKey('as-1');
const client = await signingKey('crm-bot-1');
const asking = await signingKey('exequatur-1');
const scope = 'documents:read documents:write';

const registered = (client_id, key, more) => ({
  client_id,
  token_endpoint_auth_method: 'private_key_jwt',
  token_endpoint_auth_signing_alg: 'ES256',
  id_token_signed_response_alg: 'ES256',
  introspection_signed_response_alg: 'ES256',
  jwks: { keys: [key.public] },
  redirect_uris: [],
  response_types: [],
  ...more,
});

const provider = new Provider(issuer, {
  jwks: { keys: [server.private] },
  clients: [
    registered('crm-bot', client, { grant_types: ['client_credentials'], dpop_bound_access_tokens: true }),
    registered('exequatur', asking, { grant_types: [] }),
  ],
  scopes: scope.split(' '),
  enabledJWA: { dPoPSigningAlgValues: ['ES256'], introspectionSigningAlgValues: ['ES256'] },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    dPoP: { enabled: true },
    introspection: { enabled: true },
    jwtIntrospection: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => audience,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({ scope, audience, accessTokenFormat: 'opaque', accessTokenTTL: 300 }),
    },
  },
  extraTokenClaims: () => ({ tenant: 'acme', on_behalf_of: 'alice' }),
});

provider.on('server_error', (_context, error) => console.error('server_error', error));
writeFileSync(clientKeyFile, JSON.stringify(client.private), { mode: 0o600 });
writeFileSync(askingKeyFile, asking.pem, { mode: 0o600 });
provider.listen(Number(port), '127.0.0.1', () => console.log('listening'));
