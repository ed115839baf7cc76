// Calls to the API: each with a token, with a proof where tokens are bound by DPoP, and what a refusal asks for done, so far as it
// can be, once.
import * as oauth from 'oauth4webapi';

import { nextStep, readAnswer, type Answer, type Challenge, type Step } from './answer.ts';
import { isLoopback, type Settings } from './settings.ts';
import type { Held, StepUp, Tokens } from './token.ts';

export interface Call {
  readonly method: string;
  // Below the address of the API.
  readonly path: string;
  readonly body?: string;
  readonly contentType?: string;
}

// The API says no, and nothing that the agent can do would change that now.
export class Refused extends Error {
  readonly answer: Answer;
  readonly stepUp: StepUp | undefined;

  constructor(answer: Answer, step: Step) {
    super(`${answer.status} ${answer.reason ?? 'no reason given'} (decision ${answer.decision ?? 'unknown'})`);
    this.name = 'Refused';
    this.answer = answer;
    this.stepUp = step.kind === 'step_up' ? step.stepUp : undefined;
  }
}

export interface Limits {
  // Seconds that a call may spend waiting because it was told to come again later.
  readonly patience: number;
  // Requests that one call may make.
  readonly attempts: number;
}

export type TokenSource = Pick<Tokens, 'dpop' | 'current' | 'instead'>;

const harmless = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS']);

export class Caller {
  readonly #settings: Settings;
  readonly #tokens: TokenSource;
  readonly #canStepUp: boolean;
  readonly #limits: Limits;

  constructor(
    settings: Settings,
    tokens: TokenSource,
    canStepUp: boolean,
    limits: Limits = { patience: 30, attempts: 6 },
  ) {
    this.#settings = settings;
    this.#tokens = tokens;
    this.#canStepUp = canStepUp;
    this.#limits = limits;
  }

  // `followed` is told each step that is taken before there is an answer.
  async call(call: Call, followed: (step: Step) => void = () => {}): Promise<Response> {
    const url = new URL(call.path, this.#settings.api);
    if (url.origin !== new URL(this.#settings.api).origin) throw new Error(`${url.origin} is not to see a token`);
    let patience = this.#limits.patience;
    const taken = new Set<Step['kind']>();
    for (let attempt = 1; ; attempt += 1) {
      const held = await this.#entered();
      const { response, challenges } = await this.#send(held, url, call).finally(() => held.leave());
      const answer = await readAnswer(response, challenges);
      const step = nextStep(answer, harmless.has(call.method));
      if (step.kind === 'done') return response;
      await response.body?.cancel();
      // What did not help the first time is not tried again. A nonce may have ended while something else was done.
      if (attempt === this.#limits.attempts || taken.has(step.kind)) throw new Refused(answer, step);
      switch (step.kind) {
        case 'refused':
          throw new Refused(answer, step);
        case 'nonce':
          break;
        case 'renew':
          await this.#tokens.instead(held);
          break;
        case 'step_up':
          if (!this.#canStepUp) throw new Refused(answer, step);
          await this.#tokens.instead(held, step.stepUp);
          break;
        case 'wait': {
          // Never sooner than told; and not all at once who were told the same.
          const wait = step.seconds + Math.random() * (0.25 + step.seconds / 4);
          patience -= wait;
          if (patience < 0) throw new Refused(answer, step);
          await new Promise((awake) => setTimeout(awake, wait * 1000));
          break;
        }
      }
      followed(step);
      if (step.kind === 'nonce') taken.add('nonce');
      else taken.delete('nonce');
      if (step.kind === 'renew' || step.kind === 'step_up') taken.add(step.kind);
    }
  }

  async #entered(): Promise<Held> {
    for (;;) {
      const held = await this.#tokens.current();
      // It may have been replaced before this call came to it.
      if (held.enter()) return held;
    }
  }

  async #send(held: Held, url: URL, call: Call): Promise<{ response: Response; challenges: readonly Challenge[] }> {
    const dpop = this.#tokens.dpop;
    try {
      const response = await oauth.protectedResourceRequest(
        held.reveal(),
        call.method,
        url,
        new Headers(call.body === undefined ? {} : { 'content-type': call.contentType ?? 'application/json' }),
        call.body,
        {
          [oauth.customFetch]: held.connection.fetch,
          [oauth.allowInsecureRequests]: isLoopback(url),
          signal: () => AbortSignal.timeout(30_000),
          // A proof of this request alone: a repeated one gets another.
          ...(dpop && { DPoP: dpop }),
        },
      );
      return { response, challenges: [] };
    } catch (error) {
      if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw error;
      const challenges = error.cause.map(({ scheme, parameters }) => ({ scheme, parameters: { ...parameters } }));
      return { response: error.response, challenges };
    }
  }
}
