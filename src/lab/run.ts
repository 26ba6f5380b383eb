/**
 * Runs a program to its end and keeps what it said. No shell.
 */
import { spawn } from 'node:child_process';
import { LabError } from './errors.js';

export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
  /** exit code; 128 + signal number where a signal ended it */
  readonly code: number;
}

export interface RunOptions {
  readonly input?: string;
  /** after this the program is killed and the run fails; default 30 s */
  readonly timeoutMs?: number;
  /** false: an exit code other than 0 is a result, not an error */
  readonly check?: boolean;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

/** `su` without a dash leaves root without the folders where ip and nft are. */
export function toolEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` };
}

/** Rejects with a LabError that quotes stderr. */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { input = '', timeoutMs = 30_000, check = true, env, cwd } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(argv[0] ?? '', argv.slice(1), {
      stdio: 'pipe',
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
      env: env ?? toolEnvironment(),
      ...(cwd && { cwd }),
    });
    const said: { stdout: Buffer[]; stderr: Buffer[] } = { stdout: [], stderr: [] };
    child.stdout.on('data', (chunk) => said.stdout.push(chunk));
    child.stderr.on('data', (chunk) => said.stderr.push(chunk));
    child.stdin.on('error', () => {
      // The program ended without reading its input; its exit code tells.
    });
    child.stdin.end(input);
    child.on('error', (error) => reject(new LabError(`${argv[0]} could not be started: ${error.message}`)));
    child.on('close', (code, signal) => {
      const stdout = Buffer.concat(said.stdout).toString('utf8');
      const stderr = Buffer.concat(said.stderr).toString('utf8');
      if (check && code !== 0) {
        reject(new LabError(`${argv.join(' ')}: ${signal ?? `exit ${code}`}${stderr === '' ? '' : `: ${stderr.trim()}`}`));
      } else resolve({ stdout, stderr, code: code ?? 128 + (signal === 'SIGKILL' ? 9 : 15) });
    });
  });
}
