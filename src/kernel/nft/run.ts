/**
 * Runs nft(8): JSON in, JSON out, and its complaints as KernelErrors that say what helps. Knows nothing of what it carries.
 */
import { type ExecFileException, execFile } from 'node:child_process';
import { KernelError } from '../error.js';

const TIMEOUT_MS = 5000;
/** Linux takes 128 KiB in one argument (MAX_ARG_STRLEN). */
const ARGUMENT_BYTES = 96 * 1024;
const OUTPUT_BYTES = 16 * 1024 * 1024;
const COMPLAINT_CHARACTERS = 300;

/**
 * Carries out commands of libnftables-json(5) as one transaction. They go as arguments, not on standard input: nft 1.0.6 opens
 * /dev/stdin by name, which fails with ENXIO on the socket pair that Node makes of a pipe. Rejects with a KernelError.
 */
export async function nftCommands(commands: readonly object[]): Promise<void> {
  await nft(argumentsOf(commands));
}

/** nft joins its arguments with blanks, so that a long transaction may be cut between two commands. Pure. */
export function argumentsOf(commands: readonly object[]): string[] {
  const done: string[] = [];
  let present = '{"nftables":[';
  for (const [index, command] of commands.entries()) {
    const text = `${index === 0 ? '' : ','}${JSON.stringify(command)}`;
    if (Buffer.byteLength(present) + Buffer.byteLength(text) > ARGUMENT_BYTES) {
      done.push(present);
      present = '';
    }
    present += text;
  }
  return [...done, `${present}]}`];
}

/** @returns what nft printed. Rejects with a KernelError: ENOENT with the remedy when nft is not installed. */
export function nft(args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, LC_ALL: 'C' };
    const options = { timeout: TIMEOUT_MS, killSignal: 'SIGKILL', env, maxBuffer: OUTPUT_BYTES } as const;
    execFile('nft', ['-j', ...args], options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(failure(error, stderr));
    });
  });
}

function failure(error: ExecFileException, stderr: string): KernelError {
  if (error.code === 'ENOENT') return new KernelError('ENOENT', 'nft', 'nftables is not installed: apt-get install nftables');
  if (error.code === 'EACCES') return new KernelError('EACCES', 'nft', 'nft may not be executed by this user');
  if (error.killed === true) return new KernelError('ETIMEDOUT', 'nft', `no answer within ${TIMEOUT_MS} ms`);
  return complaint(stderr);
}

/** nft has one exit status for everything; what happened is only in its message, with strerror(3) in the C locale. */
const COMPLAINTS: readonly { readonly says: RegExp; readonly errno: string; readonly remedy: string | null }[] = [
  // Built without it ("JSON support not compiled-in"), or of a time before it (0.8: "invalid option -- 'j'").
  {
    says: /JSON support not compiled|invalid option|unrecognized option/i,
    errno: 'EOPNOTSUPP',
    remedy: 'this nft speaks no JSON: version 1.0 or later, built with it, is needed (Debian 12, Ubuntu 22.04 have it)',
  },
  {
    says: /initialize Netlink socket|cache initialization failed: (Protocol|Address family|Operation) not supported/i,
    errno: 'EOPNOTSUPP',
    remedy: 'this kernel has no nftables (CONFIG_NF_TABLES)',
  },
  { says: /Operation not permitted/, errno: 'EPERM', remedy: 'CAP_NET_ADMIN is needed' },
  // Of a rule or chain it is an expression or chain type that this kernel has not: a module is missing.
  {
    says: /Could not process rule: (No such file or directory|Operation not supported)/,
    errno: 'EOPNOTSUPP',
    remedy: 'this kernel lacks a part of nftables (modules nft_ct, nft_rt, nft_fib, nft_reject, nft_masq, nft_nat)',
  },
  { says: /No such file or directory/, errno: 'ENOENT', remedy: null },
  { says: /File exists/, errno: 'EEXIST', remedy: null },
  { says: /Device or resource busy/, errno: 'EBUSY', remedy: null },
];

/** Pure. */
export function complaint(stderr: string): KernelError {
  const first = (stderr.trim().split('\n')[0] ?? '').slice(0, COMPLAINT_CHARACTERS);
  const known = COMPLAINTS.find((one) => one.says.test(stderr));
  if (known === undefined) return new KernelError('EINVAL', 'nft', first);
  return new KernelError(known.errno, 'nft', known.remedy === null ? first : `${first}: ${known.remedy}`);
}
