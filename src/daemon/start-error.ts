/** Why the program cannot start or go on, with the exit code that says so. The CLI prints it as it is. */

/** 1 other, 2 config, 3 kernel or permission, 4 no daemon */
export type ExitCode = 0 | 1 | 2 | 3 | 4;

export class StartError extends Error {
  override readonly name = 'StartError';

  /** @param remedy what a person can do about it; null when the message says it */
  constructor(
    readonly exitCode: ExitCode,
    message: string,
    readonly remedy: string | null = null,
  ) {
    super(message);
  }
}
