/** The program's version, which package.json alone says. */
import { readFileSync } from 'node:fs';

export const PROGRAM_VERSION: string = readVersion();

/** From dist/src/api/ up to the package. */
function readVersion(): string {
  try {
    const value: unknown = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
    const version = typeof value === 'object' && value !== null && 'version' in value ? value.version : null;
    return typeof version === 'string' ? version : 'unknown';
  } catch {
    return 'unknown';
  }
}
