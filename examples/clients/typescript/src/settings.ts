// What an agent is told, in a file. Secrets are in files of their own.
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

export interface Settings {
  // Who it is, at the authorization server.
  client_id: string;
  // Its private key for private_key_jwt (PKCS #8, P-256), and that key's `kid`.
  key_file: string;
  key_id: string;
  // Where the API is. Tokens go nowhere else.
  api: string;
  // What tokens are to be for (RFC 8707), and for what.
  resource: string;
  scope: string;
  // What a token is bound to: a key that the agent makes for itself, or its client certificate.
  bound: 'dpop' | 'mtls';
  // The authorization server; or instead those that are trusted, of which the metadata of `resource` name one.
  issuer?: string;
  trusted_issuers?: string[];
  // With `mtls`: the certificate and its key, in PEM.
  certificate_file?: string;
  certificate_key_file?: string;
  // Authorities of the servers' certificates, in PEM, where the system does not know them.
  authorities_file?: string;
  // For agents that act for a user who signs in: where the authorization server sends the browser back to.
  redirect_uri?: string;
}

const needed = ['client_id', 'key_file', 'key_id', 'api', 'resource', 'scope', 'bound'] as const;
const files = ['key_file', 'certificate_file', 'certificate_key_file', 'authorities_file'] as const;
const others = ['issuer', 'trusted_issuers', 'redirect_uri'] as const;

export async function readSettings(file: string): Promise<Settings> {
  const read = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
  const known = new Set<string>([...needed, ...files, ...others]);
  for (const [name, value] of Object.entries(read)) {
    if (!known.has(name)) throw new Error(`${file}: \`${name}\` is no setting`);
    if (name === 'trusted_issuers') {
      if (!Array.isArray(value) || value.length === 0 || !value.every((issuer) => typeof issuer === 'string')) {
        throw new Error(`${file}: \`trusted_issuers\` is no list of texts`);
      }
    } else if (typeof value !== 'string') throw new Error(`${file}: \`${name}\` is no text`);
  }
  for (const name of needed) if (read[name] === undefined) throw new Error(`${file}: \`${name}\` is missing`);
  const settings = read as unknown as Settings;
  if ((settings.issuer === undefined) === (settings.trusted_issuers === undefined)) {
    throw new Error(`${file}: either issuer or trusted_issuers says whose tokens to get`);
  }
  if (settings.bound !== 'dpop' && settings.bound !== 'mtls') throw new Error(`${file}: bound to ${settings.bound}?`);
  if (settings.bound === 'mtls' && !(settings.certificate_file && settings.certificate_key_file)) {
    throw new Error(`${file}: mtls needs certificate_file and certificate_key_file`);
  }
  // Files are named as seen from the settings.
  for (const name of files) {
    const path = settings[name];
    if (path !== undefined) settings[name] = resolve(dirname(file), path);
  }
  return settings;
}

// Without TLS nobody is reached but what runs on this machine.
export function isLoopback(url: URL): boolean {
  return ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
}
