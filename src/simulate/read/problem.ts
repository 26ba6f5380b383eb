/** What is wrong with a recording, for the one who gave it: where, what was found, what is wanted. */

export class SourceError extends Error {
  override readonly name = 'SourceError';

  constructor(
    message: string,
    /** what the person can do; null = the message says it */
    readonly remedy: string | null = null,
  ) {
    super(message);
  }
}

const SHOWN = 40;

/** A piece of a file as it can be shown: short, on one line, nothing that moves a terminal's cursor. */
export function shown(text: string): string {
  const cut = text.length > SHOWN ? `${text.slice(0, SHOWN)}...` : text;
  return `'${cut.replace(/[^\x20-\x7e]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`)}'`;
}
