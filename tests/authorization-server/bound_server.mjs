// An independent authorization server on the loopback, for the example agents: crm-bot's tokens are bound to a key by DPoP, and no
// proof passes without a nonce; certified-bot's are bound to the certificate that it shows at an endpoint of its own (RFC 8705
// section 5), on the next port. Tokens are for AUDIENCE, or for a resource on this machine.
// Usage: see provider.mjs. KEYS_FOLDER/tls has the certificates.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { join } from 'node:path';

import { audience, newProvider, ofJwts, registered, scope, serve } from './provider.mjs';

const [port, keysFolder] = process.argv.slice(2);
const certified = Number(port) + 1;
const ofFolder = (name) => readFileSync(join(keysFolder, 'tls', name), 'utf8');

const grants = { grant_types: ['client_credentials'] };
const provider = newProvider({
  clients: [
    await registered('crm-bot', grants),
    await registered('certified-bot', {
      ...grants,
      dpop_bound_access_tokens: false,
      tls_client_certificate_bound_access_tokens: true,
    }),
  ],
  scopes: scope.split(' '),
  features: {
    clientCredentials: { enabled: true },
    dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
    mTLS: {
      enabled: true,
      certificateBoundAccessTokens: true,
      getCertificate: ({ socket }) => socket.getPeerX509Certificate?.(),
    },
  },
  discovery: { mtls_endpoint_aliases: { token_endpoint: `https://localhost:${certified}/token` } },
  extraTokenClaims: () => ({ tenant: 'acme', on_behalf_of: 'alice' }),
}, (resource) => ofJwts(resource.startsWith('http://localhost:') ? resource : audience));

const tls = { key: ofFolder('server.key'), cert: ofFolder('server.crt'), ca: ofFolder('ca.crt'), requestCert: true };
createServer(tls, provider.callback()).listen(certified, '127.0.0.1', () => serve(provider));
