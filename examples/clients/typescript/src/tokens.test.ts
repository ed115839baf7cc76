// Whose tokens are got, and what becomes of connections.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';

import { Caller, type TokenSource } from './call.ts';
import { connect, type Connection } from './connection.ts';
import { issuerOf } from './resource.ts';
import { readSettings, type Settings } from './settings.ts';
import { Held, Tokens } from './token.ts';

const login = 'https://login.example.com';
const api = 'https://api.example.com';

function folder(context: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), 'agent-'));
  context.after(() => rmSync(made, { recursive: true }));
  return made;
}

function answering(metadata: unknown, status = 200): Connection & { asked: string[] } {
  const asked: string[] = [];
  const headers = { 'content-type': 'application/json' };
  const fetch = async (url: string) => {
    asked.push(String(url));
    return new Response(JSON.stringify(metadata), { status, headers });
  };
  return { asked, fetch, close: async () => {} };
}

test('the resource says whose tokens count', async () => {
  const resource = `${api}/mcp`;
  const trusting = { resource, trusted_issuers: ['https://other.example.com', login] } as Settings;
  const connection = answering({ resource, authorization_servers: ['https://evil.example.com', login] });
  assert.equal((await issuerOf(trusting, connection)).href, `${login}/`);
  assert.deepEqual(connection.asked, [`${api}/.well-known/oauth-protected-resource/mcp`]);
  // Of two the one that is trusted most.
  const both = answering({ resource, authorization_servers: [login, 'https://other.example.com'] });
  assert.equal((await issuerOf(trusting, both)).href, 'https://other.example.com/');
});

test('nobody else is asked', async () => {
  const trusting = { resource: api, trusted_issuers: [login] } as Settings;
  const metadata = { resource: api, authorization_servers: [login] };
  assert.equal((await issuerOf(trusting, answering(metadata))).href, `${login}/`);
  for (const [told, status] of [
    [metadata, 404],
    [metadata, 302],
    [{ ...metadata, resource: `${api}/` }],
    [{ ...metadata, resource: 'https://other.example.com' }],
    [{ authorization_servers: [login] }],
    [{ resource: api }],
    [{ resource: api, authorization_servers: [] }],
    [{ resource: api, authorization_servers: ['https://evil.example.com'] }],
    [{ resource: api, authorization_servers: `${login} https://evil.example.com` }],
    [{ resource: api, authorization_servers: { [login]: 1 } }],
    [[api]],
  ] as const) {
    await assert.rejects(issuerOf(trusting, answering(told, status)), JSON.stringify(told));
  }
  await assert.rejects(issuerOf({ ...trusting, resource: 'http://api.example.com' }, answering(metadata)));
});

test('settings say one of the two', async (context) => {
  const file = join(folder(context), 'agent.json');
  const told = { client_id: 'a', key_file: 'a.pem', key_id: 'a-1', api, resource: api, scope: 'a', bound: 'dpop' };
  for (const [more, well] of [
    [{ issuer: login }, true],
    [{ trusted_issuers: [login] }, true],
    [{}, false],
    [{ issuer: login, trusted_issuers: [login] }, false],
    [{ trusted_issuers: [] }, false],
    [{ trusted_issuers: login }, false],
    [{ trusted_issuers: [1] }, false],
  ] as const) {
    writeFileSync(file, JSON.stringify({ ...told, ...more }));
    if (well) await readSettings(file);
    else await assert.rejects(readSettings(file), JSON.stringify(more));
  }
});

test('files that are being replaced are read again', async (context) => {
  const among = folder(context);
  for (const name of ['first', 'second']) {
    const made = ['-keyout', `${name}.key`, '-out', `${name}.crt`, '-subj', `/CN=${name}`, '-days', '2', '-nodes'];
    const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
    execFileSync('openssl', ['req', '-x509', ...ec, ...made], { cwd: among, stdio: 'ignore' });
  }
  const [certificate_file, certificate_key_file] = [join(among, 'a.crt'), join(among, 'a.key')];
  const settings = { certificate_file, certificate_key_file } as Settings;
  let attempts = 0;
  const replaced = async () => {
    attempts += 1;
    if (attempts === 1) copyFileSync(join(among, 'second.crt'), certificate_file);
    if (attempts === 2) copyFileSync(join(among, 'second.key'), certificate_key_file);
  };
  copyFileSync(join(among, 'first.key'), certificate_key_file);
  await (await connect(settings, replaced)).close();
  assert.equal(attempts, 2);
  // What stays so is told.
  copyFileSync(join(among, 'first.key'), certificate_key_file);
  await assert.rejects(connect(settings, async () => {}), /key values mismatch/i);
});

test('no proxy of the environment sees a token', async (context) => {
  const asked: string[] = [];
  const serve = async (name: string) => {
    const server = createServer((_request, response) => {
      asked.push(name);
      response.end();
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    context.after(() => server.close());
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  const [proxy, there] = [await serve('proxy'), await serve('api')];
  const before = { ...process.env };
  context.after(() => (process.env = before));
  Object.assign(process.env, { HTTP_PROXY: proxy, HTTPS_PROXY: proxy, http_proxy: proxy, NODE_USE_ENV_PROXY: '1' });
  const connection = await connect({} as Settings);
  await (await connection.fetch(there, {})).text();
  await connection.close();
  assert.deepEqual(asked, ['api']);
});

function open(status = 200) {
  const connection = { closed: false, fetch: async () => new Response(null, { status }), close: async () => void (connection.closed = true) };
  return connection;
}

test('a call under way is not cut', async () => {
  const connection = open();
  const held = new Held('secret', 300, connection);
  assert(held.enter() && held.enter());
  const ended = held.retire();
  assert(!held.enter());
  held.leave();
  await new Promise(setImmediate);
  assert(!connection.closed);
  held.leave();
  await ended;
  assert(connection.closed);
});

test('a call leaves the connection that it entered', async () => {
  const nobody = async (): Promise<never> => Promise.reject(new Error('nobody is there'));
  for (const connection of [open(), { ...open(), fetch: nobody }]) {
    const held = new Held('secret', 300, connection);
    const tokens: TokenSource = { dpop: undefined, current: async () => held, instead: nobody };
    await new Caller({ api } as Settings, tokens, false).call({ method: 'GET', path: '/a' }).catch(() => {});
    // It would wait for ever otherwise.
    await held.retire();
  }
});

test('a connection that was closed meanwhile is not used', async () => {
  const [first, second] = [new Held('a', 300, open(500)), new Held('b', 300, open())];
  await first.retire();
  const given = [first, second];
  const current = async () => given.shift() ?? assert.fail('there is no third');
  const tokens: TokenSource = { dpop: undefined, current, instead: current };
  const response = await new Caller({ api } as Settings, tokens, false).call({ method: 'GET', path: '/a' });
  assert.equal(response.status, 200);
});

test('after the end there is no token', async () => {
  const tokens = new Tokens({} as Settings);
  await tokens.close();
  await assert.rejects(tokens.current(), /it was closed/);
});
