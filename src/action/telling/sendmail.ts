/**
 * Hands one mail to the local sendmail program: arguments, no shell, a time limit, its words captured. Exit codes as in
 * sysexits.h. Must not know what the mail is about.
 */
import { spawn } from 'node:child_process';
import type { Attempt, Verdict } from '../verdict.js';
import type { MailMessage } from './mail-message.js';
import { answerText } from './secret.js';

const EX_USAGE = 64;
const EX_DATAERR = 65;
const EX_NOUSER = 67;
const EX_NOHOST = 68;
const MAX_OUTPUT = 4096;

export function sendBySendmail(program: string, mail: MailMessage, attempt: Attempt, limitMs: number): Promise<Verdict> {
  return new Promise((resolve) => {
    if (attempt.stop.aborted) {
      resolve({ kind: 'retry', text: 'not begun' });
      return;
    }
    // `-i`: a line with a single dot does not end the mail; `--`: no recipient is taken for an option.
    const child = spawn(program, ['-i', '-f', mail.from, '--', ...mail.to], { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    let output = '';
    const hear = (chunk: Buffer): void => {
      if (output.length < MAX_OUTPUT) output += chunk.toString();
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    let why = '';
    const end = (reason: string): void => {
      why = reason;
      endGroup(child.pid);
    };
    const limit = setTimeout(() => end(`no end after ${limitMs / 1000} s`), limitMs);
    const onStop = (): void => end('cut off');
    attempt.stop.addEventListener('abort', onStop);
    const finish = (verdict: Verdict): void => {
      clearTimeout(limit);
      attempt.stop.removeEventListener('abort', onStop);
      child.stdout.destroy();
      child.stderr.destroy();
      resolve({ ...verdict, text: `${program}: ${answerText(verdict.text)}` });
    };
    child.once('error', (error) => finish({ kind: 'retry', text: error.message }));
    // Not `close`: what it left running in the background must not hold us.
    child.once('exit', (code, signal) => setImmediate(() => finish(verdictOf(code, signal, why, output))));
    child.stdin.on('error', () => undefined);
    // sendmail wants the line ends of this system.
    child.stdin.end(mail.raw.toString('utf8').replaceAll('\r\n', '\n'));
  });
}

function verdictOf(code: number | null, signal: string | null, why: string, output: string): Verdict {
  if (code === 0) return { kind: 'delivered', text: output.trim() === '' ? 'taken' : output };
  if (why !== '') return { kind: 'retry', text: why };
  const text = `${code === null ? `ended by ${signal ?? 'a signal'}` : `exit ${code}`} ${output}`;
  const hopeless = [EX_USAGE, EX_DATAERR, EX_NOUSER, EX_NOHOST];
  return { kind: code !== null && hopeless.includes(code) ? 'refused' : 'retry', text };
}

/** With everything it started. */
function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has just ended by itself.
  }
}
