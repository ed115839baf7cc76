// An agent to try: reads calls from its input, one a line (`GET /tenants/acme/documents/plan`), and prints a line of JSON about each.
// Usage: node dist/main.js SETTINGS [--for-user]
// With --for-user somebody signs in first: it prints the address to open, and reads the one that the browser was sent back to.
import { createInterface } from 'node:readline';

import { Caller, Refused } from './call.ts';
import { readSettings } from './settings.ts';
import { signIn } from './sign_in.ts';
import { Tokens } from './token.ts';

const [file, mode] = process.argv.slice(2);
if (file === undefined || (mode !== undefined && mode !== '--for-user')) {
  console.error('usage: node dist/main.js SETTINGS [--for-user]');
  process.exit(2);
}
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (line: object) => console.log(JSON.stringify(line));

async function browser(address: URL): Promise<URL> {
  say({ sign_in: address.href });
  const { value, done } = await lines.next();
  if (done) throw new Error('nobody signed in');
  return new URL(value.trim());
}

const settings = await readSettings(file).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : 'the settings cannot be read');
  process.exit(1);
});
const forUser = mode !== undefined;
const tokens = new Tokens(settings, ...(forUser ? [signIn(settings, browser)] : []));
const caller = new Caller(settings, tokens, forUser);

for (let line = await lines.next(); !line.done; line = await lines.next()) {
  const [method = '', path = '', ...body] = line.value.trim().split(' ');
  const followed: string[] = [];
  try {
    const call = { method, path, ...(body.length > 0 && { body: body.join(' ') }) };
    const response = await caller.call(call, (step) => followed.push(step.kind));
    say({ status: response.status, followed, body: await response.text() });
  } catch (error) {
    if (error instanceof Refused) {
      const { status, reason, decision, retryAfter: retry_after } = error.answer;
      const step_up = error.stepUp && { acr_values: error.stepUp.acrValues, max_age: error.stepUp.maxAge };
      say({ refused: reason ?? null, status, decision, retry_after, step_up, followed });
    } else {
      // An error of the library's may hold what was sent or got as its cause: its message alone is told.
      say({ failed: error instanceof Error ? error.message : 'unknown', followed });
    }
  }
}
await tokens.close();
