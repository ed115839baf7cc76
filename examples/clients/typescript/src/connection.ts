// Connections to the authorization server and to the API, over mutual TLS where the agent has a certificate.
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSecureContext, rootCertificates } from 'node:tls';

import { Agent, fetch as fetchBy } from 'undici';

import type { Settings } from './settings.ts';

export interface Connection {
  // As the library calls it: with an address and what `fetch` takes beside.
  readonly fetch: (url: string, options: object) => Promise<Response>;
  // Ends it once what is under way has been answered.
  close(): Promise<void>;
}

// Milliseconds between the attempts to read files that are just being replaced: certificate and key may not fit for a moment.
const pauses = [100, 300, 900];

// The certificate is read anew for every connection: one that was replaced on disk is used from the next token on.
export async function connect(settings: Settings, pause: (ms: number) => Promise<unknown> = sleep): Promise<Connection> {
  for (const ms of pauses) {
    try {
      return await connectNow(settings);
    } catch {
      await pause(ms);
    }
  }
  return await connectNow(settings);
}

async function connectNow(settings: Settings): Promise<Connection> {
  const { certificate_file, certificate_key_file, authorities_file } = settings;
  const read = async (file: string | undefined) => (file === undefined ? undefined : await readFile(file, 'utf8'));
  const [certificate, key, authorities] = await Promise.all([
    read(certificate_file),
    read(certificate_key_file),
    read(authorities_file),
  ]);
  // Fails here, and not with the first request, where the key is not that of the certificate.
  const secureContext = createSecureContext({
    ...(certificate !== undefined && key !== undefined ? { cert: certificate, key } : {}),
    ...(authorities !== undefined ? { ca: [...rootCertificates, authorities] } : {}),
  });
  // No proxy is taken from the environment: over plain HTTP, as on this machine, it would see the tokens.
  const dispatcher = new Agent({
    connect: { timeout: 10_000, secureContext },
    headersTimeout: 30_000,
    bodyTimeout: 30_000,
  });
  return {
    // Node's own `fetch` in a package: the same, and it takes a dispatcher of the same version.
    fetch: async (url, options) => (await fetchBy(url, { ...options, dispatcher })) as unknown as Response,
    close: () => dispatcher.close(),
  };
}
