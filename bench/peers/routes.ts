/**
 * The routes that the other programs need around them, and when one of them counts as settled.
 */
import type { Lab } from '../../src/lab/lab.js';
import type { UplinkSpec } from '../../src/lab/topologies.js';
import { until } from '../../src/lab/until.js';
import { activeUplink, type Running } from '../contender.js';
import type { PeerProcess } from './process.js';

const START_MS = 20_000;

export function fastAndBackup(lab: Lab): { fast: UplinkSpec; backup: UplinkSpec } {
  return { fast: lab.uplink('fast'), backup: lab.uplink('backup') };
}

/**
 * None of these programs does it, and without it the comparison would be over at once: the gateway's redirects teach the client
 * the way by the fast router, and there it stays when that is dead.
 */
export async function forbidRedirects(lab: Lab): Promise<void> {
  await lab.exec('gateway', ['sysctl', '-qw', 'net.ipv4.conf.all.send_redirects=0', 'net.ipv4.conf.lan0.send_redirects=0']);
}

/** The target must be asked through the fast uplink after the default has moved: these programs need a host route for that. */
export async function hostRouteToTarget(lab: Lab): Promise<void> {
  const { fast } = fastAndBackup(lab);
  await ip(lab, 'gateway', `route replace ${fast.upstream4} via ${fast.gateway4}`);
}

export async function ip(lab: Lab, node: string, words: string): Promise<void> {
  await lab.exec(node, ['ip', ...words.split(' ')]);
}

/** Resolves once the fast uplink is in use. @param calmMs how long it must be so before the next failure */
export async function whenInUse(lab: Lab, processes: readonly PeerProcess[], calmMs: number): Promise<Running> {
  const running = peerRunning(lab, processes, calmMs);
  if (await until(() => running.settled(), START_MS, 50)) return running;
  const words = processes[0]?.lastWords() ?? '';
  await running.stop();
  throw new Error(`it did not take the fast uplink into use within ${START_MS / 1000} s; ${words}`);
}

function peerRunning(lab: Lab, processes: readonly PeerProcess[], calmMs: number): Running {
  let sinceMs: number | null = null;
  return {
    async settled() {
      const active = (await activeUplink(lab)) === 'fast';
      if (!active) sinceMs = null;
      else sinceMs ??= performance.now();
      const calm = sinceMs !== null && performance.now() - sinceMs >= calmMs;
      // The next run waits anew.
      if (calm) sinceMs = null;
      return calm;
    },
    deadlineMs: () => Promise.resolve(null),
    async stop() {
      for (const one of processes) await one.stop();
    },
  };
}
