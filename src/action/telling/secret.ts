/**
 * Secrets, read at the moment of use and kept nowhere. Whatever text leaves a transport goes through {@link redact}, since a server
 * may repeat what it was given. Must not know what a secret is for.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { SecretRef } from '../../core/services.js';

const MAX_SECRET_BYTES = 64 * 1024;

/** The secret is missing or unusable. The text says where it was looked for, never what was found. */
export class SecretError extends Error {}

/** Without the line's end that editors leave. @throws SecretError */
export async function readSecret(ref: SecretRef): Promise<string> {
  const where = ref.kind === 'file' ? ref.path : `the environment variable ${ref.name}`;
  const found = ref.kind === 'file' ? await readFileSecret(ref.path) : process.env[ref.name];
  if (found === undefined) throw new SecretError(`${where} is not set`);
  const secret = found.replace(/\r?\n$/, '');
  if (secret === '') throw new SecretError(`${where} is empty`);
  // These would end a header or a command.
  if (/\p{Cc}/u.test(secret)) throw new SecretError(`${where} holds more than one line, or control characters`);
  return secret;
}

async function readFileSecret(path: string): Promise<string> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const { size } = await file.stat();
      if (size > MAX_SECRET_BYTES) throw new SecretError(`${path} is too large for a secret`);
      return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof SecretError) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    throw new SecretError(`${path} cannot be read (${code})`);
  }
}

/** The secrets, also as base64, as part of a URL and as SASL PLAIN sends them, replaced by `***`. */
export function redact(text: string, secrets: readonly string[], user = ''): string {
  const forms = secrets.flatMap((secret) => [
    secret,
    Buffer.from(secret).toString('base64'),
    Buffer.from(`\u0000${user}\u0000${secret}`).toString('base64'),
    encodeURIComponent(secret),
    JSON.stringify(secret).slice(1, -1),
  ]);
  const longestFirst = [...new Set(forms)].filter((form) => form !== '').sort((a, b) => b.length - a.length);
  return longestFirst.reduce((rest, form) => rest.replaceAll(form, '***'), text);
}

/** A server's answer as part of a sentence: one line, no control characters, bounded. */
export function answerText(text: string): string {
  const line = text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim();
  return line.length > 300 ? `${line.slice(0, 299)}…` : line;
}
