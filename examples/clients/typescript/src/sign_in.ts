// A token of a user who signs in: authorization code with PKCE. A browser is none of the agent's business: it is given an address and
// waits for the one that the user is sent back to.
import * as oauth from 'oauth4webapi';

import { followingNonce } from './authorization_server.ts';
import type { Settings } from './settings.ts';
import type { Grant } from './token.ts';

export type Browser = (address: URL) => Promise<URL>;

export function signIn({ redirect_uri, scope, resource }: Settings, browser: Browser): Grant {
  if (redirect_uri === undefined) throw new Error('signing in needs a redirect_uri');
  return async ({ metadata, client, authentication, dpop }, options, stepUp) => {
    if (metadata.authorization_endpoint === undefined) throw new Error('nobody can sign in at this server');
    const [verifier, state, nonce] = [
      oauth.generateRandomCodeVerifier(),
      oauth.generateRandomState(),
      oauth.generateRandomNonce(),
    ];
    const address = new URL(metadata.authorization_endpoint);
    address.search = new URLSearchParams({
      client_id: client.client_id,
      redirect_uri,
      response_type: 'code',
      scope,
      resource,
      state,
      nonce,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      // What the API asked for, as it asked for it (RFC 9470 section 4).
      ...(stepUp?.acrValues !== undefined && { acr_values: stepUp.acrValues }),
      ...(stepUp?.maxAge !== undefined && { max_age: String(stepUp.maxAge) }),
    }).toString();
    const code = oauth.validateAuthResponse(metadata, client, await browser(address), state);
    const checks = { expectedNonce: nonce, ...(stepUp?.maxAge !== undefined && { maxAge: stepUp.maxAge }) };
    return await followingNonce(async () => {
      const response = await oauth.authorizationCodeGrantRequest(
        metadata,
        client,
        authentication,
        code,
        redirect_uri,
        verifier,
        { ...options, ...(dpop && { DPoP: dpop }) },
      );
      return await oauth.processAuthorizationCodeResponse(metadata, client, response, checks);
    });
  };
}
