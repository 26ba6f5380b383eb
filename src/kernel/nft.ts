/**
 * Our nftables table, as a whole: written in one transaction, removed, recognised. Speaks JSON to nft(8)
 * (libnftables-json(5)) and never touches any other table. What the rules are for is decided elsewhere.
 */
import { type ExecFileException, execFile } from 'node:child_process';
import type { NftRules, NftState } from '../core/kernel.js';
import { KernelError } from './error.js';

const TABLE = { family: 'inet', name: 'backroute' } as const;
const IN_TABLE = { family: TABLE.family, table: TABLE.name } as const;
/**
 * The fingerprint is the comment of the one rule of a chain that no packet visits: nft 1.0.6 (Debian 12) drops a table's own
 * comment from its JSON.
 */
const FINGERPRINT_CHAIN = 'fingerprint';
const TIMEOUT_MS = 5000;

/** The transaction that makes the table what `rules` says, or removes it (null). Pure. */
export function nftTransaction(fingerprint: string, rules: NftRules | null): object {
  // Adding first makes the deletion succeed whether or not the table stands: the whole is one transaction.
  const cleared: object[] = [{ add: { table: TABLE } }, { delete: { table: TABLE } }];
  if (rules === null) return { nftables: cleared };
  const commands: object[] = [
    ...cleared,
    { add: { table: TABLE } },
    { add: { chain: { ...IN_TABLE, name: FINGERPRINT_CHAIN } } },
    { add: { rule: { ...IN_TABLE, chain: FINGERPRINT_CHAIN, comment: fingerprint, expr: [{ return: null }] } } },
  ];
  if (rules.dropNdRedirectsOn.length > 0) {
    commands.push(
      { add: { chain: { ...IN_TABLE, name: 'output', type: 'filter', hook: 'output', prio: 0, policy: 'accept' } } },
      {
        add: {
          rule: {
            ...IN_TABLE,
            chain: 'output',
            expr: [
              { match: { op: '==', left: { meta: { key: 'oifname' } }, right: { set: [...rules.dropNdRedirectsOn] } } },
              { match: { op: '==', left: { payload: { protocol: 'icmpv6', field: 'type' } }, right: 'nd-redirect' } },
              { drop: null },
            ],
          },
        },
      },
    );
  }
  return { nftables: commands };
}

/** The fingerprint in `nft -j list table`'s output; empty when the table is not of our making. Pure. */
export function fingerprintOf(listing: unknown): string {
  const items = isRecord(listing) && Array.isArray(listing.nftables) ? listing.nftables : [];
  for (const item of items) {
    const rule: unknown = isRecord(item) ? item.rule : null;
    if (isRecord(rule) && rule.chain === FINGERPRINT_CHAIN && typeof rule.comment === 'string') return rule.comment;
  }
  return '';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/**
 * Runs nft. Commands go as an argument, not on standard input: nft 1.0.6 opens /dev/stdin by name, which fails with ENXIO on
 * the socket pair that Node makes of a pipe. Linux takes 128 KiB in one argument; our table is far smaller. Rejects with a KernelError: ENOENT with the remedy when nft is not installed. */
function nft(args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, LC_ALL: 'C' };
    execFile('nft', ['-j', ...args], { timeout: TIMEOUT_MS, killSignal: 'SIGKILL', env }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(failure(error, stderr));
    });
  });
}

function failure(error: ExecFileException, stderr: string): KernelError {
  if (error.code === 'ENOENT') return new KernelError('ENOENT', 'nft', 'nftables is not installed: apt-get install nftables');
  if (error.killed === true) return new KernelError('ETIMEDOUT', 'nft', `no answer within ${TIMEOUT_MS} ms`);
  return new KernelError(errnoOf(stderr), 'nft', stderr.trim().split('\n')[0] ?? null);
}

/** nft has one exit status for everything; the errno is only in its message, as strerror(3) puts it in the C locale. */
function errnoOf(stderr: string): string {
  if (/Operation not permitted/.test(stderr)) return 'EPERM';
  if (/No such file or directory/.test(stderr)) return 'ENOENT';
  return 'EINVAL';
}

export async function readNftTable(): Promise<NftState> {
  try {
    const listing = await nft(['list', 'table', TABLE.family, TABLE.name]);
    return { fingerprint: fingerprintOf(JSON.parse(listing)) };
  } catch (error) {
    // No such table, or no nft at all: then there is no table of ours either, and writing one will tell the remedy.
    if (error instanceof KernelError && error.errno === 'ENOENT') return { fingerprint: 'absent' };
    throw error;
  }
}

export async function writeNftTable(fingerprint: string, rules: NftRules | null): Promise<void> {
  await nft([JSON.stringify(nftTransaction(fingerprint, rules))]);
}
