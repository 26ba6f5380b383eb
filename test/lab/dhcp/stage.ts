/**
 * The stage of the DHCP tests: the gateway of lab two-nic has nothing on wan1 but what DHCP gives it, the fast router leases
 * addresses and has two of its own, and a LeaseWatcher listens. Ends everything on every way out.
 */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { UplinkHint } from '../../../src/core/hint.js';
import { LeaseWatcher } from '../../../src/kernel/lease/lease-watcher.js';
import { Lab } from '../../../src/lab/lab.js';
import { missingRequirement } from '../../../src/lab/requirements.js';
import { run } from '../../../src/lab/run.js';
import { filesDir } from '../../../src/lab/state.js';
import { until } from '../../../src/lab/until.js';
import { DhcpServer, missingForDhcp, unconfigure } from '../../support/dhcp.js';
import { RouteMonitor } from '../../support/dhcp-monitor.js';

/** The router's addresses: the one it announces first, and another. */
export const ROUTER = '10.1.0.1';
export const OTHER_ROUTER = '10.1.0.9';

export interface ToldHint extends UplinkHint {
  readonly wallMs: number;
}

export class DhcpStage {
  readonly lab: Lab;
  readonly server: DhcpServer;
  readonly monitor: RouteMonitor;
  readonly hintsDir: string;
  readonly told: ToldHint[] = [];
  readonly problems: string[] = [];
  #watcher: LeaseWatcher | null = null;

  private constructor(lab: Lab, server: DhcpServer, monitor: RouteMonitor) {
    this.lab = lab;
    this.server = server;
    this.monitor = monitor;
    this.hintsDir = join(filesDir(lab.stateDir, lab.name), 'hints');
  }

  static async set(lab: Lab): Promise<DhcpStage> {
    await run(['ip', '-n', lab.ns('fast'), 'addr', 'add', `${OTHER_ROUTER}/24`, 'dev', 'lan0']);
    await unconfigure(lab, 'gateway', 'wan1');
    const range = ['10.1.0.50', '10.1.0.60'] as const;
    const server = await DhcpServer.start(lab, 'fast', { interface: 'lan0', range, router: ROUTER });
    const stage = new DhcpStage(lab, server, await RouteMonitor.start(lab, 'gateway'));
    mkdirSync(stage.hintsDir);
    return stage;
  }

  /** Listens to the hooks' hints, and to dhclient's lease files in this folder. Nothing of the machine's own is read. */
  async listen(leaseDir: string | null = null): Promise<void> {
    const nowhere = join(this.hintsDir, 'nowhere');
    this.#watcher = new LeaseWatcher({
      hintsDir: this.hintsDir,
      dhclientDirs: leaseDir === null ? [] : [leaseDir],
      networkdDir: nowhere,
      networkManagerDir: nowhere,
      interfaceName: () => null,
      onProblem: (text) => this.problems.push(text),
    });
    await this.#watcher.start((hint) => this.told.push({ ...hint, wallMs: Date.now() }));
  }

  /** Waits until such a hint has come, the `from`th of all or later, and gives it. */
  async hint(gateway: string | null, source: string, from = 0, withinMs = 5000): Promise<ToldHint> {
    const isIt = (hint: ToldHint) => hint.gateway === gateway && hint.source === source && hint.interface === 'wan1';
    await until(() => this.told.slice(from).some(isIt), withinMs);
    const found = this.told.slice(from).find(isIt);
    assert.ok(found, `${source} says ${gateway}; told: ${JSON.stringify(this.told)}`);
    return found;
  }

  async ip(words: string): Promise<string> {
    return (await run(['ip', '-n', this.lab.ns('gateway'), ...words.split(' ')])).stdout;
  }

  /** As lines of `ip route`, blanks at the end cut off. */
  async defaults(): Promise<string[]> {
    const lines = (await this.ip('-4 route show default')).split('\n');
    return lines.map((line) => line.trim()).filter((line) => line !== '');
  }

  close(): void {
    this.#watcher?.close();
    this.monitor.end();
  }
}

/** A test on a stage of its own; skipped with the reason where something is missing. */
export function dhcpTest(
  story: string,
  client: 'dhclient' | 'udhcpc',
  tell: (stage: DhcpStage, t: TestContext) => Promise<void>,
): void {
  const skip = missingRequirement()?.message ?? missingForDhcp('dnsmasq', client);
  test(story, { skip, timeout: 60_000 }, async (t) => {
    const lab = await Lab.create('two-nic');
    try {
      const stage = await DhcpStage.set(lab);
      try {
        await tell(stage, t);
        assert.deepEqual(stage.problems, []);
      } finally {
        stage.close();
      }
    } catch (error) {
      t.diagnostic(String(error));
      throw error;
    } finally {
      await lab.destroy();
    }
  });
}
