/** A hook that sleeps, and one that leaves programs behind, beside failovers: measured with and without. Needs root. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { Lab } from '../../../src/lab/lab.js';
import { missingRequirement } from '../../../src/lab/requirements.js';
import { quick } from '../proof/config-file.js';
import { eventually, Gateway } from '../proof/gateway.js';

const ROUNDS = 11;
/** The first ones start the hooks, and warm the daemons up. */
const WARM_UP = 2;
/** What a median of so few may be off on a machine that runs other tests too. */
const DIFFERENCE_MS = 5;

/** What each does when something happens; null = there are no hooks. */
const HOOKS: readonly (readonly [name: string, script: string | null])[] = [
  ['no hook', null],
  ['a hook that sleeps 60 s', 'sleep 60'],
  ['a hook that forks', 'for i in 1 2 3 4 5 6 7 8 9 10; do sleep 60 & done'],
];
const CONFIG = quick('classic', {
  defaults: { probe: { interval: '50ms' }, 'recover-after': '0s', 'hold-down': { factor: 1 } },
});

test('no hook delays a failover', { skip: missingRequirement()?.message ?? false, timeout: 120_000 }, async (t) => {
  const labs = await Promise.all(HOOKS.map(() => Lab.create('classic')));
  try {
    const gateways = await Promise.all(
      HOOKS.map(async ([, script], at) => {
        const gateway = new Gateway(labs[at] ?? assert.fail(), CONFIG);
        if (script !== null) withHook(gateway, script);
        await gateway.start();
        await gateway.judged();
        return { gateway, changes: watchDefault(gateway, 'backup'), tookMs: [] as number[] };
      }),
    );
    // In turns: whatever else the machine does meets all of them.
    for (let round = 0; round < ROUNDS + WARM_UP; round++) {
      for (const { gateway, changes, tookMs } of gateways) {
        const ms = await failoverMs(gateway, changes);
        if (round >= WARM_UP) tookMs.push(ms);
      }
    }
    const [without, ...others] = gateways;
    assert.ok(without !== undefined);
    for (const [at, { tookMs }] of gateways.entries()) {
      t.diagnostic(`${HOOKS[at]?.[0]}: median ${median(tookMs)} ms of ${tookMs.map(Math.round).join(' ')}`);
    }
    for (const [at, { tookMs, gateway }] of others.entries()) {
      const delay = median(tookMs.map((ms, round) => ms - (without.tookMs[round] ?? Number.NaN)));
      t.diagnostic(`${HOOKS[at + 1]?.[0]}: ${delay} ms later in the median than without`);
      assert.ok(delay < DIFFERENCE_MS, `${HOOKS[at + 1]?.[0]}: ${delay} ms later than without`);
      assert.ok((await running(gateway)).includes('sleep 60') || gateway.log().includes('ran for switch'), 'it ran');
    }
    const [sleeping] = others;
    assert.ok(sleeping !== undefined && (await running(sleeping.gateway)).includes('sleep 60'), 'the hook sleeps on');
  } finally {
    await Promise.all(labs.map((lab) => lab.destroy()));
  }
});

function withHook(gateway: Gateway, script: string): void {
  const directory = join(gateway.dir, 'hooks');
  mkdirSync(directory);
  writeFileSync(join(directory, 'hook'), `#!/bin/sh\necho "ran for $BACKROUTE_EVENT"\n${script}\n`);
  chmodSync(join(directory, 'hook'), 0o755);
  gateway.configure({ ...CONFIG, hooks: { directory, timeout: '5m', topics: ['health', 'switch'] } });
}

/** From the first question that was not answered (when it is asked is chance, and nothing to do with hooks) to the new route. */
async function failoverMs(gateway: Gateway, changes: readonly number[]): Promise<number> {
  const { date } = await gateway.lab.cut('fast', 'silent');
  const sinceMs = date.getTime() - 1;
  await gateway.goesBy('backup');
  const down = await gateway.event('fast is down', (one) => one.kind === 'health' && one.to === 'down', sinceMs);
  const changedMs = await eventually('the change was seen', () => changes.find((ms) => ms >= sinceMs) ?? null);
  await gateway.lab.mend('fast');
  await gateway.goesBy('fast');
  return Math.round(changedMs - (down.wallMs - Number(down.data.silentMs)));
}

/** Unix ms at which the kernel's ruling default route became this uplink's, as `ip monitor` stamps them. */
function watchDefault(gateway: Gateway, uplink: string): number[] {
  const seen: number[] = [];
  const monitor = gateway.lab.spawn('gateway', ['env', 'TZ=UTC', 'ip', '-ts', '-4', 'monitor', 'route'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  assert.ok(monitor.stdout !== null);
  const { gateway4 } = gateway.lab.uplink(uplink);
  createInterface({ input: monitor.stdout }).on('line', (line) => {
    const [, stamp, route] = /^\[(\S+)\] (.*)$/.exec(line) ?? [];
    const rules = route?.startsWith(`default via ${gateway4} `) === true && !/ (metric|table) /.test(route);
    if (stamp !== undefined && rules) seen.push(Date.parse(`${stamp.slice(0, 23)}Z`));
  });
  return seen;
}

/** The words of what runs in the gateway. */
async function running(gateway: Gateway): Promise<string> {
  const script = 'for pid in $(ip netns pids "$0"); do tr "\\0" " " 2>/dev/null <"/proc/$pid/cmdline"; echo; done; true';
  return (await gateway.lab.exec('gateway', ['sh', '-c', script, gateway.lab.ns('gateway')])).stdout;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
