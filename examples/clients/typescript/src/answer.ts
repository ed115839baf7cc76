// What an answer of the API says, and what is to be done about it. Nothing here does it.
import type { StepUp } from './token.ts';

export interface Challenge {
  // As a WWW-Authenticate field names them.
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string | undefined>>;
}

export interface Answer {
  readonly status: number;
  readonly challenges: readonly Challenge[];
  readonly nonce: boolean;
  // Seconds, where the answer says when to come again.
  readonly retryAfter: number | undefined;
  // Of a problem document that is Exequatur's: why, and under which id the decision was recorded.
  readonly reason: string | undefined;
  readonly decision: string | undefined;
}

export type Step =
  | { readonly kind: 'done' }
  | { readonly kind: 'nonce' }
  | { readonly kind: 'renew' }
  | { readonly kind: 'step_up'; readonly stepUp: StepUp }
  | { readonly kind: 'wait'; readonly seconds: number }
  | { readonly kind: 'refused' };

// Refusals of a token that another token may not meet. No other does: an agent that is revoked stays so.
const ofThisToken = new Set(['token_expired', 'token_revoked', 'token_inactive', 'token_key_unknown', 'mtls_cert_mismatch']);

// `harmless`: the call may be made twice (GET, HEAD, PUT, DELETE, OPTIONS).
export function nextStep(answer: Answer, harmless: boolean): Step {
  const { status, challenges, reason } = answer;
  const named = (error: string) => challenges.find(({ parameters }) => parameters['error'] === error);
  if (status === 401) {
    // Nothing has happened yet: it is for want of credentials that it did not.
    if (named('use_dpop_nonce')) return { kind: answer.nonce ? 'nonce' : 'refused' };
    const stepUp = named('insufficient_user_authentication');
    if (stepUp) return { kind: 'step_up', stepUp: asked(stepUp) };
    const anotherToken = reason === undefined || ofThisToken.has(reason);
    return { kind: named('invalid_token') && anotherToken ? 'renew' : 'refused' };
  }
  if (status === 429 || status === 503) {
    // A reason of Exequatur's says that the call went no further. Without one it may have.
    const maySendAgain = harmless || reason !== undefined;
    if (answer.retryAfter !== undefined && maySendAgain) return { kind: 'wait', seconds: answer.retryAfter };
    return { kind: 'refused' };
  }
  return { kind: reason === undefined ? 'done' : 'refused' };
}

function asked({ parameters }: Challenge): StepUp {
  const { acr_values: acrValues, max_age: maxAge } = parameters;
  return {
    ...(acrValues !== undefined && { acrValues }),
    ...(maxAge !== undefined && /^\d{1,9}$/.test(maxAge) && { maxAge: Number(maxAge) }),
  };
}

export async function readAnswer(response: Response, challenges: readonly Challenge[]): Promise<Answer> {
  const { reason, decision } = (await exequaturs(response)) ?? {};
  return {
    status: response.status,
    challenges,
    nonce: response.headers.has('dpop-nonce'),
    retryAfter: seconds(response.headers.get('retry-after')),
    reason,
    decision,
  };
}

// Retry-After is a number of seconds, or a date (RFC 9110 section 10.2.3).
function seconds(field: string | null): number | undefined {
  if (field === null) return undefined;
  if (/^\d{1,9}$/.test(field)) return Number(field);
  const date = Date.parse(field);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - Date.now()) / 1000);
}

// The type of a refusal by limits that are named (draft-ietf-httpapi-ratelimit-headers).
const quotaExceeded = 'https://iana.org/assignments/http-problem-types#quota-exceeded';

// Reason and decision of a problem document of Exequatur's. The service behind it may answer with problem documents too, and may have a
// `reason` in them. So the type has to be that of the reason, and a decision has to be named.
async function exequaturs(response: Response): Promise<{ reason: string; decision: string } | undefined> {
  const type = response.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/problem+json') return undefined;
  const problem: unknown = await response
    .clone()
    .json()
    .catch(() => undefined);
  if (typeof problem !== 'object' || problem === null) return undefined;
  const { type: kind, reason, decision, 'violated-policies': limits } = problem as Record<string, unknown>;
  if (typeof reason !== 'string' || typeof decision !== 'string' || reason === '' || decision === '') return undefined;
  const byLimits = kind === quotaExceeded && reason === 'rate_limited' && Array.isArray(limits);
  return kind === `urn:exequatur:reason:${reason}` || byLimits ? { reason, decision } : undefined;
}
