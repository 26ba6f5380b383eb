/** Routing does not wait for connections: the time from a cut to the first packet by the backup, with 10 and with 100,000 of them. Needs root. */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { figuresOf } from '../../../bench/figures.js';
import type { HistoryEntry } from '../../../src/core/entry.js';
import { monotonicMs } from '../../../src/lab/clock.js';
import { type Call, startCall } from '../../../src/lab/traffic/call.js';
import { quick } from '../proof/config-file.js';
import { eventually, type Gateway, proof } from '../proof/gateway.js';
import { callGoesBy, momentOf } from './everything.js';

const COUNTS = [10, 100_000] as const;
const ROUNDS = 5;
const FILL = fileURLToPath(new URL('./fill.js', import.meta.url));
/** The mark of connections by the first uplink, in the default mask. */
const FAST_MARK = 0x01000000;
const INTERVAL_MS = 5;
/** Of the call, after the filling. */
const CALM_PACKETS = 20;
const TRIES = 3;
/** One way, so that the packet is seen at once. */
const DELAY_MS = 1;
/** In the median of five the phase of the probes and a machine under load make no more: only to list 100,000 takes far longer. */
const ALIKE_MS = 80;

interface Round {
  /** from the cut to the first packet by the backup */
  readonly switchMs: number;
  /** from the decision to that packet */
  readonly decidedMs: number;
  readonly longestGapMs: number;
  readonly killMs: number;
}

/** Whoever fills conntrack keeps the machine so busy that packets may come late: when somebody moved for that, it is done again. */
async function filled(gateway: Gateway, call: Call, count: number): Promise<void> {
  for (let left = TRIES; left > 0; left--) {
    const beforeWallMs = Date.now();
    await gateway.lab.exec('gateway', [process.execPath, FILL, String(count), String(FAST_MARK)]);
    const filledMs = monotonicMs();
    await eventually('calm after filling', async () => {
      const { active, suspicion } = await gateway.path('fast');
      return active && suspicion === 'none' && (await call.report(filledMs)).back.received >= CALM_PACKETS;
    });
    if ((await gateway.switches(beforeWallMs)).length === 0) return;
    await gateway.lab.exec('gateway', ['conntrack', '-F']);
  }
  assert.fail(`the machine is too busy to fill conntrack with ${count} connections, ${TRIES} times`);
}

async function round(gateway: Gateway, call: Call, count: number): Promise<Round> {
  const { lab } = gateway;
  await filled(gateway, call, count);
  const beforeWallMs = Date.now();
  const cut = await lab.cut('fast', 'silent');
  const firstMs = await callGoesBy('the call', call, 'backup');
  const ended = await gateway.event('the end', ({ kind, data }) => kind === 'flows' && data.why === 'lost', beforeWallMs);
  assert.ok(Number(ended.data.entries) >= count, ended.text);
  const { back } = await call.report(cut.askedAtMs);
  const decided = await gateway.event('the switch', ({ kind, to }) => kind === 'switch' && to === 'backup', beforeWallMs);

  await lab.mend('fast');
  const is = (entry: HistoryEntry) => entry.kind === 'switch' && entry.to === 'fast';
  await gateway.event('failback', is, beforeWallMs);
  await callGoesBy('the call', call, 'fast');
  return {
    switchMs: firstMs - DELAY_MS - cut.monotonicMs,
    decidedMs: firstMs - DELAY_MS - momentOf(decided),
    longestGapMs: back.longestGapMs,
    killMs: Number(ended.data.tookMs),
  };
}

proof(
  'switching takes the same time with 10 and with 100,000 connections',
  {
    topology: 'two-nic',
    variant: { masquerade: false },
    links: { fast: { delayMs: DELAY_MS }, backup: { delayMs: DELAY_MS } },
    config: quick('two-nic', {
      defaults: { probe: { interval: '50ms' }, 'recover-after': '100ms', 'hold-down': { max: '100ms' } },
      top: { masquerade: true, connections: { failback: 'move' } },
    }),
    ahead: true,
    timeout: 120_000,
  },
  async (gateway, t) => {
    await gateway.judged();
    const call = await startCall(gateway.lab, { intervalMs: INTERVAL_MS });
    await eventually('the call flows', async () => (await call.report()).back.received > 0);
    // The thread that ends connections is started by the first ask.
    await round(gateway, call, 1);
    const rounds = new Map<number, Round[]>(COUNTS.map((count) => [count, []]));
    for (let at = 0; at < ROUNDS; at++) for (const count of COUNTS) rounds.get(count)?.push(await round(gateway, call, count));
    const medians = COUNTS.map((count) => {
      const median = (of: (one: Round) => number) => figuresOf((rounds.get(count) ?? []).map(of))?.median ?? Number.NaN;
      const switchMs = median((one) => one.switchMs);
      t.diagnostic(
        [
          `${count.toLocaleString('en')} connections: first packet by the backup ${switchMs.toFixed(1)} ms after the cut,`,
          `${median((one) => one.decidedMs).toFixed(1)} ms after the decision,`,
          `longest gap of the call ${median((one) => one.longestGapMs).toFixed(1)} ms,`,
          `all ended after ${median((one) => one.killMs).toFixed(0)} ms (medians of ${ROUNDS})`,
        ].join(' '),
      );
      return switchMs;
    });
    const [few = Number.NaN, many = Number.NaN] = medians;
    assert.ok(Math.abs(many - few) < ALIKE_MS, `${few} ms with few, ${many} ms with many`);
  },
);
