// What the authorization servers here have in common: an oidc-provider on the loopback whose access tokens are for one resource and
// bound by DPoP, and clients that show by a key who they are.
// Usage of each: node SCRIPT PORT KEYS_FOLDER AUDIENCE [OTHER_AUDIENCE]
// Every client's private key is written to KEYS_FOLDER/CLIENT.json, as a JWK, and to KEYS_FOLDER/CLIENT.pem.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import * as jose from 'jose';
import { Provider } from 'oidc-provider';

const [port, keysFolder, ...audiences] = process.argv.slice(2);
export const [audience, otherAudience] = audiences;
export const issuer = `http://127.0.0.1:${port}`;
export const scope = 'documents:read documents:write';
export const lifetime = 300;

async function keyPair(kid) {
  const { privateKey, publicKey } = await jose.generateKeyPair('ES256', { extractable: true });
  const labels = { alg: 'ES256', kid, use: 'sig' };
  return {
    pem: await jose.exportPKCS8(privateKey),
    private: { ...(await jose.exportJWK(privateKey)), ...labels },
    public: { ...(await jose.exportJWK(publicKey)), ...labels },
    verifying: publicKey,
  };
}

// The server's own.
const server = await keyPair('as-1');
export const verifyingKey = server.verifying;

// A client, with what is particular to it.
export async function registered(clientId, particulars) {
  const key = await keyPair(`${clientId}-1`);
  const write = (form, text) => writeFileSync(join(keysFolder, `${clientId}.${form}`), text, { mode: 0o600 });
  write('json', JSON.stringify(key.private));
  write('pem', key.pem);
  return {
    client_id: clientId,
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'ES256',
    id_token_signed_response_alg: 'ES256',
    jwks: { keys: [key.public] },
    dpop_bound_access_tokens: true,
    redirect_uris: [],
    response_types: [],
    ...particulars,
  };
}

// A resource server that takes JWTs.
export function ofJwts(resource) {
  const jwt = { sign: { alg: 'ES256' } };
  return { scope, audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: lifetime, jwt };
}

// A provider; `resourceServer` says what the tokens for a resource are like.
export function newProvider({ features, enabledJWA, ...settings }, resourceServer = () => ofJwts(audience)) {
  const made = new Provider(issuer, {
    jwks: { keys: [server.private] },
    enabledJWA: { dPoPSigningAlgValues: ['ES256'], ...enabledJWA },
    features: {
      devInteractions: { enabled: false },
      dPoP: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        useGrantedResource: () => true,
        getResourceServerInfo: (_context, resource) => resourceServer(resource),
      },
      ...features,
    },
    ...settings,
  });
  made.on('server_error', (_context, error) => console.error('server_error', error));
  return made;
}

// Whatever listens, a provider or a server of Node's, on the address of the issuer.
export function serve(listener) {
  listener.listen(Number(port), '127.0.0.1', () => console.log('listening'));
}
