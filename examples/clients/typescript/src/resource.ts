// What the API says of itself (protected resource metadata, RFC 9728): whose tokens count there.
import * as oauth from 'oauth4webapi';

import { requestOptions } from './authorization_server.ts';
import type { Connection } from './connection.ts';
import type { Settings } from './settings.ts';

// The authorization server to ask: of those that the resource names, the one that is trusted most. The agent's key and the user's consent
// are for servers that its operator knows: whoever can change what a resource says of itself chooses among these, and no other.
export async function issuerOf(settings: Settings, connection: Connection): Promise<URL> {
  if (settings.issuer !== undefined) return new URL(settings.issuer);
  const resource = new URL(settings.resource);
  const response = await oauth.resourceDiscoveryRequest(resource, requestOptions(resource, connection));
  const metadata = await oauth.processResourceDiscoveryResponse(resource, response);
  // Section 3.3: otherwise they are another's, and a token for the other would go to this one. The library compares addresses, this
  // the texts.
  if (metadata.resource !== settings.resource) throw new Error(`the metadata are not those of ${settings.resource}`);
  const named: unknown = metadata.authorization_servers;
  const trusted = settings.trusted_issuers?.find((issuer) => Array.isArray(named) && named.includes(issuer));
  if (trusted === undefined) throw new Error(`${settings.resource} names no authorization server that is trusted`);
  return new URL(trusted);
}
