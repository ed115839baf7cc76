// An access token, in memory alone: got when it is needed, renewed before it ends, and asked for once however many calls wait for it.
import * as oauth from 'oauth4webapi';

import { discover, followingNonce, requestOptions, type AuthorizationServer } from './authorization_server.ts';
import { connect, type Connection } from './connection.ts';
import type { Settings } from './settings.ts';

// What a challenge asks of the user's authentication (RFC 9470).
export interface StepUp {
  readonly acrValues?: string;
  readonly maxAge?: number;
}

// A token and the connection that goes with it: a certificate-bound token is worth nothing over another one.
export class Held {
  // Private to the class, so that nothing that prints or serializes this object shows it.
  readonly #value: string;
  readonly connection: Connection;
  readonly #renewAt: number;
  // What the user was asked for when it was got.
  readonly #asked: StepUp | undefined;

  constructor(value: string, lifetime: number, connection: Connection, asked?: StepUp) {
    this.#value = value;
    this.connection = connection;
    this.#asked = asked;
    // Half a minute early, or a fifth of a short life.
    this.#renewAt = performance.now() + 1000 * (lifetime - Math.min(30, lifetime / 5));
  }

  reveal(): string {
    return this.#value;
  }

  get fresh(): boolean {
    return performance.now() < this.#renewAt;
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
  #retired: Held | undefined;
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
    if (this.#held && this.#held !== used && this.#held.answers(stepUp)) return this.#held;
    this.#coming = this.#ask(stepUp);
    try {
      return await this.#coming;
    } finally {
      this.#coming = undefined;
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#held?.connection.close(), this.#retired?.connection.close()]);
    this.#held = this.#retired = undefined;
  }

  async #ask(stepUp: StepUp | undefined): Promise<Held> {
    const connection = await connect(this.#settings);
    try {
      this.#server ??= await discover(this.#settings, connection);
      const answer = await this.#grant(this.#server, requestOptions(this.#settings, connection), stepUp);
      // A server that binds nothing would have to be noticed here, not after the token was sent in the clear.
      const type = this.#settings.bound === 'dpop' ? 'dpop' : 'bearer';
      if (answer.token_type !== type) throw new Error(`a token of type ${type} was asked for, ${answer.token_type} came`);
      // A call may be under way with the token before this one, but with none before that.
      void this.#retired?.connection.close();
      this.#retired = this.#held;
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
