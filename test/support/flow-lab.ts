/**
 * A lab with our nftables table in the gateway, and `ip` by hand in the engine's place: policy rules and tables for the flow
 * marks, the default route now here, now there. A table `witness` beside ours counts what passes.
 */
import assert from 'node:assert/strict';
import { flowMark, type KernelNumbers, untrackedMark } from '../../src/core/config.js';
import type { FlowRules, NftRules, WayOut } from '../../src/core/kernel.js';
import type { Family } from '../../src/core/model.js';
import { argumentsOf } from '../../src/kernel/nft/run.js';
import { nftTransaction } from '../../src/kernel/nft/table.js';
import { Lab } from '../../src/lab/lab.js';
import type { TopologyName } from '../../src/lab/topologies.js';

export const NUMBERS: KernelNumbers = { protocol: 110, tableBase: 7100, ruleBase: 700, markMask: 0x7f000000 };
const FLOWS = NUMBERS.ruleBase + 128;
export const FAMILIES: readonly Family[] = [4, 6];

export class FlowLab {
  readonly lab: Lab;
  /** MAC by uplink: of its router, on the side of the gateway */
  readonly #macs: ReadonlyMap<string, string>;
  #watches = 0;

  private constructor(lab: Lab, macs: ReadonlyMap<string, string>) {
    this.lab = lab;
    this.#macs = macs;
  }

  static async create(topology: TopologyName): Promise<FlowLab> {
    const lab = await Lab.create(topology);
    const macs = new Map<string, string>();
    for (const { name, router } of lab.uplinks) {
      const { stdout } = await lab.exec(router, ['ip', '-j', 'link', 'show', 'dev', 'lan0']);
      macs.set(name, (JSON.parse(stdout) as [{ address: string }])[0].address);
    }
    const flowLab = new FlowLab(lab, macs);
    for (const conf of ['all', 'lan0']) {
      await lab.exec('gateway', ['sh', '-c', `echo 0 > /proc/sys/net/ipv4/conf/${conf}/send_redirects`]);
    }
    await flowLab.nft('add table inet witness', 'add chain inet witness out { type filter hook postrouting priority 300; }');
    await flowLab.nft('add chain inet witness through { type filter hook forward priority 300; }');
    for (const [slot, uplink] of lab.uplinks.entries()) {
      for (const family of FAMILIES) {
        const [gateway, table] = [family === 4 ? uplink.gateway4 : uplink.gateway6, NUMBERS.tableBase + slot];
        await flowLab.ip(`-${family} route add default via ${gateway} dev ${uplink.gatewayInterface} table ${table}`);
        const mark = `fwmark ${flowMark(NUMBERS, slot)}/${NUMBERS.markMask}`;
        await flowLab.ip(`-${family} rule add priority ${FLOWS + 2 * slot} ${mark} lookup main suppress_prefixlength 0`);
        await flowLab.ip(`-${family} rule add priority ${FLOWS + 2 * slot + 1} ${mark} lookup ${table}`);
      }
    }
    return flowLab;
  }

  /** `ip WORDS` in the gateway. */
  async ip(words: string): Promise<string> {
    return (await this.lab.exec('gateway', ['ip', ...words.split(' ')])).stdout;
  }

  /** Commands in the gateway, in nft's own words. */
  async nft(...commands: readonly string[]): Promise<string> {
    return (await this.lab.exec('gateway', ['nft', commands.join('; ')])).stdout;
  }

  /** New connections go by this uplink from now on. */
  async prefer(name: string): Promise<void> {
    const { gateway4, gateway6, gatewayInterface } = this.lab.uplink(name);
    await this.ip(`route replace default via ${gateway4} dev ${gatewayInterface} proto static`);
    await this.ip(`-6 route replace default via ${gateway6} dev ${gatewayInterface} proto static`);
  }

  way(name: string, family: Family): WayOut {
    const { gatewayInterface, ownsInterface, gateway4, gateway6 } = this.lab.uplink(name);
    const gateway = family === 4 ? gateway4 : gateway6;
    if (ownsInterface) return { family, interface: gatewayInterface, gateway: null, mac: null };
    return { family, interface: gatewayInterface, gateway, mac: this.#macs.get(name) ?? null };
  }

  get ways(): readonly WayOut[] {
    return this.lab.uplinks.flatMap(({ name }) => FAMILIES.map((family) => this.way(name, family)));
  }

  flows(change: Partial<FlowRules> = {}): FlowRules {
    const ways = this.lab.uplinks.flatMap(({ name }, slot) =>
      FAMILIES.map((family) => ({ ...this.way(name, family), mark: flowMark(NUMBERS, slot) })),
    );
    return { mask: NUMBERS.markMask, ways, inbound: true, resetAstray: true, untrackedMark: untrackedMark(NUMBERS), ...change };
  }

  /** Makes our table what these say; nothing else is in it. */
  async write(rules: Partial<NftRules> | null): Promise<void> {
    const whole = rules === null ? null : { dropNdRedirectsOn: [], ...rules };
    await this.lab.exec('gateway', ['nft', '-j', ...argumentsOf(nftTransaction('by hand', whole))]);
  }

  /** The router of an uplink passes a port of its outer address on, as people make it do. */
  async forwardPort(uplink: string, family: Family, port: number, to: string): Promise<void> {
    await this.lab.exec(this.lab.uplink(uplink).router, ['nft', portForward('wan0', family, port, to)]);
  }

  /** The gateway, in a table of somebody else's, passes a port on that comes in there. */
  async forwardPortOn(device: string, family: Family, port: number, to: string): Promise<void> {
    await this.nft(portForward(device, family, port, to));
  }

  /** Begins to count the packets that leave the gateway, or go through it, and match. @returns how to ask for their number */
  async watch(where: 'out' | 'through', matches: string): Promise<() => Promise<number>> {
    const name = `watch${this.#watches++}`;
    await this.nft(`add counter inet witness ${name}`, `add rule inet witness ${where} ${matches} counter name ${name}`);
    return async () => {
      const { stdout } = await this.lab.exec('gateway', ['nft', '-j', 'list', 'counter', 'inet', 'witness', name]);
      const listing = JSON.parse(stdout) as { nftables: { counter?: { packets: number } }[] };
      const found = listing.nftables.find((one) => one.counter !== undefined)?.counter;
      assert.ok(found);
      return found.packets;
    };
  }
}

function portForward(device: string, family: Family, port: number, to: string): string {
  const how = family === 4 ? `ip to ${to}` : `ip6 to [${to}]`;
  return [
    'add table inet forwards',
    'add chain inet forwards in { type nat hook prerouting priority -100; }',
    `add rule inet forwards in iifname ${device} meta nfproto ipv${family} tcp dport ${port} dnat ${how}`,
  ].join('; ');
}
