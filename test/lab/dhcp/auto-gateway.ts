/**
 * The stage of `gateway: auto`: the real daemon in the gateway of lab two-nic, whose fast uplink has what DHCP gives it and nothing
 * else, while the backup is configured by hand. Knows nothing of what a story then does to it.
 */
import assert from 'node:assert/strict';
import { hintsDirectory } from '../../../src/kernel/lease/lease-watcher.js';
import { run } from '../../../src/lab/run.js';
import { DhcpServer, missingForDhcp, unconfigure } from '../../support/dhcp.js';
import { quick } from '../proof/config-file.js';
import { eventually, type Gateway, proof, type Setting } from '../proof/gateway.js';
import { OTHER_ROUTER, ROUTER } from './stage.js';

/**
 * The server's first answers go to an address that is not there yet: the gateway forwards them by its default route, and for 30 s
 * conntrack remembers that in the way of the client's own packets: masquerading gives a renewal another source port, and its
 * answer misses the client. Real leases last longer than that memory; ours do not.
 */
const UNTRACKED = `table inet dhcp_untracked {
  chain arriving { type filter hook prerouting priority raw; udp sport 67 udp dport 68 notrack; }
  chain leaving { type filter hook output priority raw; udp sport 68 udp dport 67 notrack; }
}`;

export interface AutoStage {
  readonly gateway: Gateway;
  readonly server: DhcpServer;
  /** for the client's hook */
  readonly hintsDir: string;
}

/** The backup carries the traffic when the story begins: the fast uplink has no lease yet. */
export function autoProof(story: string, client: 'dhclient' | 'udhcpc', tell: (stage: AutoStage) => Promise<void>): void {
  const setting: Setting = {
    topology: 'two-nic',
    config: quick('two-nic', { uplinks: { fast: { gateway: 'auto', interface: 'wan1' } } }),
    skip: missingForDhcp('dnsmasq', client),
    prepare: async ({ lab }) => {
      await run(['ip', '-n', lab.ns('fast'), 'addr', 'add', `${OTHER_ROUTER}/24`, 'dev', 'lan0']);
      await unconfigure(lab, 'gateway', 'wan1');
      await lab.exec('gateway', ['nft', UNTRACKED]);
    },
  };
  proof(story, setting, async (gateway) => {
    const range = ['10.1.0.50', '10.1.0.60'] as const;
    const server = await DhcpServer.start(gateway.lab, 'fast', { interface: 'lan0', range, router: ROUTER });
    await gateway.goesBy('backup');
    assert.equal((await gateway.path('fast')).health, 'down');
    await tell({ gateway, server, hintsDir: hintsDirectory(gateway.runDir) });
  });
}

/** Waits until the kernel sends by wan1 to this router, by a route of ours. */
export async function goesTo(gateway: Gateway, router: string): Promise<void> {
  await eventually(`IPv4 goes to ${router}`, async () => {
    const [first] = await gateway.defaults();
    return first?.gateway === router && first.dev === 'wan1' && first.protocol === '110';
  });
}

/** What was told of next hops, oldest first: `10.1.0.1 (dhclient's hook)`. */
export async function toldGateways(gateway: Gateway, sinceWallMs = 0): Promise<string[]> {
  const events = await gateway.events(sinceWallMs);
  return events.filter((one) => one.kind === 'gateway').map((one) => `${one.data.gateway} (${one.data.source})`);
}
