/**
 * Our nftables table, as a whole: written in one transaction, removed, recognised. Never touches any other table. What the
 * rules are for is decided elsewhere; how they are put is in nft/.
 */
import type { NftRules, NftState } from '../core/kernel.js';
import { KernelError } from './error.js';
import { TABLE } from './nft/expressions.js';
import { nft, nftCommands } from './nft/run.js';
import { FINGERPRINT_SET, fingerprintOf, listsOurChains, nftTransaction } from './nft/table.js';

/** Rejects with a KernelError when nft does not answer. */
export async function readNftTable(): Promise<NftState> {
  try {
    return { fingerprint: fingerprintOf(await listed('set', TABLE.family, TABLE.name, FINGERPRINT_SET)) };
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
  try {
    // A table of our name that does not bear our fingerprint is one that we would write anew.
    return { fingerprint: listsOurChains(await listed('chains', TABLE.family)) ? '' : 'absent' };
  } catch (error) {
    // No nft at all: then there is no table of ours either, and writing one will tell the remedy.
    if (isErrno(error, 'ENOENT')) return { fingerprint: 'absent' };
    throw error;
  }
}

/** Rejects with a KernelError; then all is as it was. */
export async function writeNftTable(fingerprint: string, rules: NftRules | null): Promise<void> {
  try {
    await nftCommands(nftTransaction(fingerprint, rules));
  } catch (error) {
    // Something of ours has another shape than ours (another version's, somebody's hand): then the table goes, and comes anew.
    if (rules === null || !(isErrno(error, 'EEXIST') || isErrno(error, 'EBUSY') || isErrno(error, 'EINVAL'))) throw error;
    await nftCommands(nftTransaction(fingerprint, rules, 'afresh'));
  }
}

async function listed(...what: readonly string[]): Promise<unknown> {
  return JSON.parse(await nft(['list', ...what]));
}

function isErrno(error: unknown, errno: string): boolean {
  return error instanceof KernelError && error.errno === errno;
}
