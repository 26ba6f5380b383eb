/**
 * A line of a script as it may be shown: without what could be a secret. Pure.
 */
import { secretName } from './roles.js';

/** A line that holds a secret is shown without it. */
export function withoutSecrets(text: string): string {
  const assigned = text.replace(/([A-Za-z_]\w*)(\s*[=:]\s*)(?:"[^"]*"?|'[^']*'?|\S+)/g, (whole, name: string, sign: string) =>
    secretName(name) ? `${name}${sign}…` : whole,
  );
  return assigned.replace(/(\w+:\/\/[^\s:@/]+:)[^\s@/]+@/g, '$1…@').replace(/(\s-u\s*["']?[^\s:]+:)\S+/g, '$1…');
}
