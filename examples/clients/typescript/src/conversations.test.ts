// What the agent does in each of ../conversations.json, which the one in Python does too.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { inspect } from 'node:util';

import * as oauth from 'oauth4webapi';

import { Caller, Refused, type TokenSource } from './call.ts';
import type { Settings } from './settings.ts';
import { Held, Tokens, type StepUp } from './token.ts';

interface Conversation {
  what: string;
  method?: string;
  can_step_up?: boolean;
  answers: { status: number; fields?: Record<string, string>; reason?: string; problem?: unknown }[];
  followed?: string[];
  asked?: { acr_values?: string; max_age?: number };
  tokens?: number;
  end: 'done' | 'refused';
  reason?: string;
}

const settings = { api: 'https://api.example.com' } as Settings;
const table = new URL('../../conversations.json', import.meta.url);

for (const conversation of JSON.parse(readFileSync(table, 'utf8')) as Conversation[]) {
  test(conversation.what, () => hold(conversation));
}

async function hold({ what, method = 'GET', can_step_up = false, answers, ...expected }: Conversation): Promise<void> {
  const sent: { headers: Record<string, string>; body?: string }[] = [];
  const left = [...answers];
  const fetch = async (_url: string, options: object) => {
    sent.push(options as (typeof sent)[number]);
    const { status, fields, reason, problem } = left.shift() ?? { status: 599 };
    const own = reason && { type: `urn:exequatur:reason:${reason}`, reason, decision: 'd-1' };
    const body = own ?? problem;
    if (body === undefined) return new Response(null, { status, ...(fields && { headers: fields }) });
    return new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/problem+json', ...fields } });
  };
  let made = 0;
  let asked: StepUp | undefined;
  const token = () => new Held(`token-${(made += 1)}`, 300, { fetch, close: async () => {} });
  let held = token();
  const tokens: TokenSource = {
    dpop: oauth.DPoP({}, await oauth.generateKeyPair('ES256')),
    current: async () => held,
    instead: async (_used: Held | undefined, stepUp?: StepUp) => {
      asked = stepUp;
      return (held = token());
    },
  };
  const caller = new Caller(settings, tokens, can_step_up);
  const followed: string[] = [];
  const call = { method, path: '/a', ...(method === 'POST' && { body: '{}' }) };
  const end = await caller.call(call, ({ kind }) => followed.push(kind)).catch((error: unknown) => error);

  assert.deepEqual(followed, expected.followed ?? [], what);
  assert.equal(made, expected.tokens ?? 1);
  assert.equal(sent.length, answers.length, 'requests');
  if (expected.end === 'done') {
    assert.equal((end as Response).status, answers.at(-1)?.status);
  } else {
    assert(end instanceof Refused, String(end));
    assert.deepEqual([end.answer.status, end.answer.reason], [answers.at(-1)?.status, expected.reason]);
    assert(expected.reason === undefined || end.message.includes(`${expected.reason} (decision d-1)`), end.message);
  }
  if (expected.asked) {
    const { acrValues: acr_values, maxAge: max_age } = asked ?? {};
    assert.deepEqual({ acr_values, max_age }, { acr_values: undefined, ...expected.asked });
  }
  // No proof was sent twice; each one after the first nonce has it; and the body was there each time.
  const claims = sent.map(({ headers }) => claimsOf(headers['dpop']));
  assert.equal(new Set(claims.map(({ jti }) => jti)).size, sent.length);
  let nonce: string | undefined;
  for (const [index, { nonce: used }] of claims.entries()) {
    assert.equal(used, nonce);
    nonce = answers[index]?.fields?.['dpop-nonce'] ?? nonce;
  }
  assert(sent.every(({ body }) => (body ?? undefined) === call.body));
}

function claimsOf(proof = ''): Record<string, unknown> {
  return JSON.parse(Buffer.from(proof.split('.')[1] ?? '', 'base64url').toString());
}

test('no token is sent elsewhere', async () => {
  const nobody = () => assert.fail('nobody asked for a token');
  const caller = new Caller(settings, { dpop: undefined, current: nobody, instead: nobody }, false);
  for (const path of ['https://elsewhere.example.com/', '//elsewhere.example.com/', 'http://api.example.com/']) {
    await assert.rejects(caller.call({ method: 'GET', path }), /is not to see a token/);
  }
});

test('a token is not shown', () => {
  const held = new Held('secret', 300, { fetch: async () => new Response(), close: async () => {} });
  assert.doesNotMatch(inspect(held, { depth: 9, showHidden: true }) + JSON.stringify(held) + String(held), /secret/);
  assert.equal(held.reveal(), 'secret');
});

test('a token is renewed before it ends', (context) => {
  context.mock.method(performance, 'now', () => 1000 * now);
  let now = 0;
  // The last is held for ten minutes, whatever the server says.
  for (const [lifetime, until] of [[300, 270], [60, 48], [5, 4], [86_400, 570]] as const) {
    now = 0;
    const held = new Held('secret', lifetime, { fetch: async () => new Response(), close: async () => {} });
    now = until - 0.1;
    assert(held.fresh, `${lifetime}`);
    now = until + 0.1;
    assert(!held.fresh, `${lifetime}`);
  }
});

test('calls that wait share one token', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'agent-'));
  const server = createServer((_request, response) => response.end(JSON.stringify({ issuer })));
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  context.after(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { privateKey } = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', privateKey)).toString('base64');
  const key_file = join(folder, 'a.pem');
  writeFileSync(key_file, `-----BEGIN PRIVATE KEY-----\n${der}\n-----END PRIVATE KEY-----\n`);

  let asked = 0;
  const grant = async () => ({ access_token: `token-${(asked += 1)}`, token_type: 'dpop' as const, expires_in: 300 });
  const tokens = new Tokens({ ...settings, issuer, client_id: 'a', key_file, key_id: 'a-1', bound: 'dpop' }, grant);
  const eight = (ask: () => Promise<Held>) => Promise.all(Array.from({ length: 8 }, ask));
  const held = await eight(() => tokens.current());
  assert.deepEqual([asked, new Set(held).size], [1, 1]);
  const again = await eight(() => tokens.instead(held[0]));
  assert.deepEqual([asked, new Set(again).size, again[0]?.reveal()], [2, 1, 'token-2']);
  // A renewal that is on its way is not what a challenge asked for.
  const renewed = tokens.instead(again[0]);
  const steppedUp = await eight(() => tokens.instead(again[0], { maxAge: 5 }));
  assert.deepEqual([asked, (await renewed).reveal(), new Set(steppedUp).size], [4, 'token-3', 1]);
  await tokens.close();
});
