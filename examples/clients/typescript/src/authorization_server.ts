// The authorization server, asked as a client that shows by a key who it is (private_key_jwt, RFC 7523).
import { readFile } from 'node:fs/promises';

import * as oauth from 'oauth4webapi';

import type { Connection } from './connection.ts';
import { isLoopback, type Settings } from './settings.ts';

export interface AuthorizationServer {
  readonly metadata: oauth.AuthorizationServer;
  readonly client: oauth.Client;
  readonly authentication: oauth.ClientAuth;
  // The key that tokens are bound to, where they are bound to one.
  readonly dpop: oauth.DPoPHandle | undefined;
}

export async function discover(settings: Settings, issuer: URL, connection: Connection): Promise<AuthorizationServer> {
  const response = await oauth.discoveryRequest(issuer, requestOptions(issuer, connection));
  const metadata = await oauth.processDiscoveryResponse(issuer, response);
  const client: oauth.Client = {
    client_id: settings.client_id,
    use_mtls_endpoint_aliases: settings.bound === 'mtls',
  };
  const key = await importKey(settings.key_file);
  // Made here, for this process; it cannot be read out of it, and ends with it.
  const own = settings.bound === 'dpop' ? await oauth.generateKeyPair('ES256', { extractable: false }) : undefined;
  return {
    metadata,
    client,
    authentication: oauth.PrivateKeyJwt({ key, kid: settings.key_id }),
    dpop: own && oauth.DPoP(client, own),
  };
}

export function requestOptions(server: URL, connection: Connection) {
  return {
    [oauth.customFetch]: connection.fetch,
    [oauth.allowInsecureRequests]: isLoopback(server),
    signal: () => AbortSignal.timeout(30_000),
  };
}

// Tries again with the nonce that the authorization server asks for (RFC 9449 section 8); the library remembers it.
export async function followingNonce<T>(attempt: () => Promise<T>): Promise<T> {
  try {
    return await attempt();
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    return await attempt();
  }
}

// Once imported, the key can sign and nothing else.
async function importKey(file: string): Promise<CryptoKey> {
  const base64 = (await readFile(file, 'utf8')).replace(/-----[A-Z ]+-----|\s/g, '');
  const der = Uint8Array.from(Buffer.from(base64, 'base64'));
  return await crypto.subtle.importKey('pkcs8', der, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
}
