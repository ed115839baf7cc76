// An access token, in memory alone: got when it is needed, renewed before it ends, and asked for once however many calls wait for it.
import * as oauth from 'oauth4webapi';

import { discover, followingNonce, requestOptions, type AuthorizationServer } from './authorization_server.ts';
import { connect, type Connection } from './connection.ts';
import { issuerOf } from './resource.ts';
import type { Settings } from './settings.ts';

// What a challenge asks of the user's authentication (RFC 9470).
export interface StepUp {
  readonly acrValues?: string;
  readonly maxAge?: number;
}

// Seconds that a token is held for at most, whatever the authorization server says.
const longest = 600;

// A token and the connection that goes with it: a certificate-bound token is worth nothing over another one. Who calls enters it and
// leaves it.
export class Held {
  // Private to the class, so that nothing that prints or serializes this object shows it.
  readonly #value: string;
  readonly connection: Connection;
  readonly #renewAt: number;
  // What the user was asked for when it was got.
  readonly #asked: StepUp | undefined;
  #calls = 0;
  #left = () => {};
  #ended: Promise<void> | undefined;

  constructor(value: string, lifetime: number, connection: Connection, asked?: StepUp) {
    this.#value = value;
    this.connection = connection;
    this.#asked = asked;
    // Half a minute early, or a fifth of a short life.
    const held = Math.min(lifetime, longest);
    this.#renewAt = performance.now() + 1000 * (held - Math.min(30, held / 5));
  }

  reveal(): string {
    return this.#value;
  }

  get fresh(): boolean {
    return performance.now() < this.#renewAt;
  }

  // Whether there still is a connection for a call.
  enter(): boolean {
    if (this.#ended) return false;
    this.#calls += 1;
    return true;
  }

  leave(): void {
    this.#calls -= 1;
    if (this.#calls === 0) this.#left();
  }

  // Takes no more calls, and ends the connection when the last has left.
  retire(): Promise<void> {
    const idle = () => new Promise<void>((left) => (this.#calls === 0 ? left() : (this.#left = left)));
    this.#ended ??= idle().then(() => this.connection.close());
    return this.#ended;
  }

  answers(stepUp: StepUp | undefined): boolean {
    if (stepUp === undefined) return true;
    return this.#asked?.acrValues === stepUp.acrValues && this.#asked?.maxAge === stepUp.maxAge;
  }
}

// How a token is got. Only a user can do what a challenge asks of a user.
export type Grant = (
  server: AuthorizationServer,
  options: ReturnType<typeof requestOptions>,
  stepUp: StepUp | undefined,
) => Promise<oauth.TokenEndpointResponse>;

export class Tokens {
  readonly #settings: Settings;
  readonly #grant: Grant;
  #server: AuthorizationServer | undefined;
  #held: Held | undefined;
  #closed = false;
  #coming: Promise<Held> | undefined;

  constructor(settings: Settings, grant: Grant = clientCredentials(settings)) {
    this.#settings = settings;
    this.#grant = grant;
  }

  get dpop(): oauth.DPoPHandle | undefined {
    return this.#server?.dpop;
  }

  async current(): Promise<Held> {
    if (this.#held?.fresh) return this.#held;
    return await this.instead(this.#held);
  }

  // Another token than `used`. Whoever asks while one is on its way waits for that, unless it is to have more of the user.
  async instead(used: Held | undefined, stepUp?: StepUp): Promise<Held> {
    while (this.#coming) {
      const held = await this.#coming;
      if (held.answers(stepUp)) return held;
    }
    if (this.#closed) throw new Error('it was closed');
    if (this.#held && this.#held !== used && this.#held.answers(stepUp)) return this.#held;
    this.#coming = this.#ask(stepUp);
    try {
      return await this.#coming;
    } finally {
      this.#coming = undefined;
    }
  }

  // Waits for calls that are under way.
  async close(): Promise<void> {
    this.#closed = true;
    const held = this.#held;
    this.#held = undefined;
    await held?.retire();
  }

  async #ask(stepUp: StepUp | undefined): Promise<Held> {
    const connection = await connect(this.#settings);
    try {
      this.#server ??= await discover(this.#settings, await issuerOf(this.#settings, connection), connection);
      const options = requestOptions(new URL(this.#server.metadata.issuer), connection);
      const answer = await this.#grant(this.#server, options, stepUp);
      // A server that binds nothing would have to be noticed here, not after the token was sent in the clear.
      const type = this.#settings.bound === 'dpop' ? 'dpop' : 'bearer';
      if (answer.token_type !== type) throw new Error(`a token of type ${type} was asked for, ${answer.token_type} came`);
      if (this.#closed) throw new Error('it was closed');
      // Calls may be under way with the token before this one. Nobody waits for its connection.
      this.#held?.retire().catch(() => {});
      this.#held = new Held(answer.access_token, answer.expires_in ?? 60, connection, stepUp);
      return this.#held;
    } catch (error) {
      await connection.close();
      throw error;
    }
  }
}

// The agent's own token: it acts for itself.
export function clientCredentials({ scope, resource }: Settings): Grant {
  return ({ metadata, client, authentication, dpop }, options) =>
    followingNonce(async () => {
      const response = await oauth.clientCredentialsGrantRequest(
        metadata,
        client,
        authentication,
        { scope, resource },
        { ...options, ...(dpop && { DPoP: dpop }) },
      );
      return await oauth.processClientCredentialsResponse(metadata, client, response);
    });
}
