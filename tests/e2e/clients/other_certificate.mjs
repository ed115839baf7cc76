// The agent's own token over a connection that shows another certificate: a thief's.
// Usage: node other_certificate.mjs SETTINGS CERTIFICATE KEY PATH
import { Caller, Refused } from '../../../examples/clients/typescript/dist/call.js';
import { connect } from '../../../examples/clients/typescript/dist/connection.js';
import { readSettings } from '../../../examples/clients/typescript/dist/settings.js';
import { Held, Tokens } from '../../../examples/clients/typescript/dist/token.js';

import { dirname, resolve } from 'node:path';

const [file, certificate, key, path] = process.argv.slice(2);
const own = await readSettings(file);
const among = (name) => resolve(dirname(file), name);
const others = await connect({ ...own, certificate_file: among(certificate), certificate_key_file: among(key) });
const tokens = new Tokens(own);
const stolen = async (held) => new Held(held.reveal(), 300, others);
const thief = new Caller(
  own,
  {
    dpop: undefined,
    current: async () => stolen(await tokens.current()),
    instead: async () => stolen(await tokens.instead(await tokens.current())),
  },
  false,
);
const followed = [];
try {
  await thief.call({ method: 'GET', path }, ({ kind }) => followed.push(kind));
} catch (error) {
  if (!(error instanceof Refused)) throw error;
  console.log(JSON.stringify({ refused: error.answer.reason, status: error.answer.status, followed }));
}
await Promise.all([tokens.close(), others.close()]);
