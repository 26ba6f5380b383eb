/**
 * Ends this machine's own TCP connections to a smarthost whose uplink is dead (SOCK_DESTROY, by `ss -K`): the mail they hold is
 * deferred at once instead of after minutes of retransmission. Those through an uplink that works are left to end by themselves,
 * since a session cut at its last answer is a mail delivered twice.
 */
import { lookup } from 'node:dns/promises';
import { commandFailure, runCommand } from '../command.js';
import type { StuckSessions } from './postfix.js';

const TIMEOUT_MS = 5_000;
/** A name that nobody answers for now is no reason to wait: its connections end by themselves, later. */
const LOOKUP_MS = 1_000;

/** @param works whether this uplink works now; its sessions are not stuck */
export function sessionsBySs(works: (uplink: string) => boolean): StuckSessions {
  return {
    async end(uplink, { host, port }, spare) {
      if (works(uplink)) return;
      const keep = new Set((await Promise.all(spare.map(addressesOf))).flat());
      for (const address of await addressesOf(host)) {
        if (keep.has(address)) continue;
        const argv = [
          'ss',
          '-K',
          '-H',
          '-t',
          '-n',
          'dst',
          address.includes(':') ? `[${address}]` : address,
          'dport',
          '=',
          `:${port}`,
        ];
        const failure = commandFailure(argv, await runCommand({ argv, timeoutMs: TIMEOUT_MS }));
        if (failure !== null) throw new Error(`sessions to ${host} were not ended: ${failure}`);
      }
    },
  };
}

async function addressesOf(host: string): Promise<string[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string[]>((resolve) => {
    timer = setTimeout(() => resolve([]), LOOKUP_MS);
  });
  const found = lookup(host, { all: true }).then(
    (all) => all.map(({ address }) => address),
    () => [],
  );
  const addresses = await Promise.race([found, late]);
  clearTimeout(timer);
  return addresses;
}
