/** `backroute notify test`: sends a message for real, past the outbox, and tells what the server said. Needs no daemon. */
import { hostname } from 'node:os';
import { Telling, type TestResult } from '../../action/telling/telling.js';
import { PROGRAM_VERSION } from '../../api/version.js';
import { loadConfig } from '../../config/load.js';
import { formatProblems } from '../../config/problem.js';
import type { ChannelConfig } from '../../core/services.js';
import { ExitError } from '../exit-error.js';
import type { Io } from '../io.js';
import { table } from '../paint.js';
import type { Places } from '../places.js';

/** Longer than any transport waits by itself. */
const PATIENCE_MS = 90_000;

/** @returns the exit code */
export async function testNotify(places: Places, name: string | null, io: Io): Promise<number> {
  const result = await loadConfig(places.configPath);
  if (!result.ok) throw new ExitError(2, formatProblems(result.problems));
  const { channels } = result.config.services;
  if (channels.length === 0) throw new ExitError(1, `${places.configPath} names nobody to tell`, 'see notify: in docs/config.md');
  const chosen = channels.filter((channel) => name === null || channel.name === name);
  if (chosen.length === 0) {
    throw new ExitError(1, `there is no channel '${name}' (there are: ${channels.map((channel) => channel.name).join(', ')})`);
  }
  const telling = new Telling({ host: hostname(), version: PROGRAM_VERSION, clock: systemClock, random: Math.random });
  const results = await Promise.all(chosen.map((channel) => sendWithin(telling, channel)));
  const rows = chosen.map(({ name: channel }, index) => {
    const { ok, text } = results[index] ?? SILENCE;
    return [channel, io.paint(ok ? 'green' : 'red', ok ? 'delivered' : 'failed'), text];
  });
  io.out(`${table(rows).join('\n')}\n`);
  return results.every(({ ok }) => ok) ? 0 : 1;
}

const SILENCE: TestResult = { ok: false, text: `no answer within ${PATIENCE_MS / 1000} s` };

const systemClock = {
  now: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer: (delayMs: number, callback: () => void) => {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};

async function sendWithin(telling: Telling, channel: ChannelConfig): Promise<TestResult> {
  const late = new Promise<TestResult>((resolve) => {
    setTimeout(() => resolve(SILENCE), PATIENCE_MS).unref();
  });
  return await Promise.race([telling.sendTest(channel), late]);
}
