/** An end with a message and an exit code; see docs: 0, 1 other, 2 config, 3 kernel or permission, 4 no daemon. */

export class ExitError extends Error {
  override readonly name = 'ExitError';

  constructor(
    readonly exitCode: 1 | 2 | 3 | 4,
    message: string,
    /** what the person can do; null = the message says it */
    readonly remedy: string | null = null,
  ) {
    super(message);
  }
}

/** The exit code an error asks for (the daemon's StartError has the same shape); 1 for any other. */
export function exitCodeOf(error: unknown): number {
  const code = typeof error === 'object' && error !== null && 'exitCode' in error ? error.exitCode : null;
  return typeof code === 'number' ? code : 1;
}

export function remedyOf(error: unknown): string | null {
  const remedy = typeof error === 'object' && error !== null && 'remedy' in error ? error.remedy : null;
  return typeof remedy === 'string' ? remedy : null;
}
