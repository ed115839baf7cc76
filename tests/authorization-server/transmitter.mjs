// Signs security event tokens like a transmitter that knows nothing of Exequatur.
// Usage: node transmitter.mjs JWKS_FILE
// Writes its public keys to the file, and then answers each line of JSON ({ header, payload }) with a compact JWS.
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

import * as jose from 'jose';

const [jwksFile] = process.argv.slice(2);
const kid = 'tr-1';
const { privateKey, publicKey } = await jose.generateKeyPair('RS256', { extractable: true });
const published = { ...(await jose.exportJWK(publicKey)), alg: 'RS256', kid, use: 'sig' };
writeFileSync(jwksFile, JSON.stringify({ keys: [published] }));
console.log('ready');

for await (const line of createInterface({ input: process.stdin })) {
  const { header, payload } = JSON.parse(line);
  const protectedHeader = { alg: 'RS256', typ: 'secevent+jwt', kid, ...header };
  const bytes = new TextEncoder().encode(JSON.stringify(payload));
  console.log(await new jose.CompactSign(bytes).setProtectedHeader(protectedHeader).sign(privateKey));
}
