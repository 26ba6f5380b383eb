/**
 * The demo's second half with `--keep`: the network stays for a person to cut and mend from another terminal, and whatever the
 * daemon does about it goes on being told. Ends only by the interruption.
 */
import type { HistoryEntry } from '../core/entry.js';
import { AFTERMATH_MS, METER_INTERVAL_MS, type Stage } from './demo.js';
import { because, clientLine, type Label, switchLine } from './demo-text.js';
import { monotonicMs } from './clock.js';
import type { Meter } from './meter.js';
import { DEFAULT_STATE_DIR, listLabs } from './state.js';
import { SERVER4 } from './topologies.js';

/** A meter remembers every packet: a fresh one after this keeps it small however long the network stays. */
const METER_LIFE_MS = 10 * 60_000;

/** Rejects with the interruption's reason, or with a LabError when the daemon ends. */
export async function keepRunning(stage: Stage): Promise<never> {
  stage.write(commandsToTry(stage));
  const teller = new Teller(stage);
  const stop = stage.daemon.onEvent((entry) => teller.event(entry));
  try {
    return await Promise.race([stage.daemon.failed(stage.interrupted), teller.run()]);
  } finally {
    stop();
    teller.close();
  }
}

function commandsToTry({ lab, daemon, stateDir, paint }: Stage): string {
  const place = stateDir === DEFAULT_STATE_DIR ? '' : ` --state-dir ${stateDir}`;
  const which = listLabs(stateDir).length > 1 ? ` --name ${lab.name}` : '';
  const labVerb = (words: string) => `bin/backroute lab ${words}${which}${place}`;
  const rows = [
    [labVerb('cut fast'), 'its provider goes silent'],
    [labVerb('cut fast --kind router'), 'its router is off'],
    [labVerb('cut fast --loss 40'), '40 % of its packets are lost'],
    [labVerb('mend fast'), 'everything of it works again'],
    [`bin/backroute status --watch --run-dir ${daemon.runDir}`, 'what Backroute sees'],
    [`bin/backroute force backup --run-dir ${daemon.runDir}`, 'by hand; `auto` undoes it'],
    [`ip netns exec ${lab.ns('gateway')} ip route`, 'what the kernel does'],
    [`ip netns exec ${lab.ns('client')} ping ${SERVER4}`, 'what a client of the LAN sees'],
  ] as const;
  const width = Math.max(...rows.map(([command]) => command.length));
  return [
    '\nThe network stays. Try, in another terminal, as root, from here:\n',
    ...rows.map(([command, what]) => `   ${paint('bold', command.padEnd(width))}   ${paint('dim', what)}\n`),
    'What happens is told here. Ctrl-C ends it and removes everything.\n\n',
  ].join('');
}

/** Tells events as they come and, some time after each switch, what the client felt since the last time it was told. */
class Teller {
  readonly #stage: Stage;
  #closed = false;
  #meter: Meter | null = null;
  #sinceMs = 0;
  #bornMs = 0;
  #dueMs = Number.POSITIVE_INFINITY;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  event(entry: HistoryEntry): void {
    const said = sentence(entry);
    if (said === null) return;
    this.#stage.tell(entry.wallMs, ...said);
    if (entry.kind === 'switch') this.#dueMs = monotonicMs() + AFTERMATH_MS;
  }

  /** Never resolves: rejects when the meter breaks. */
  async run(): Promise<never> {
    await this.#renew();
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 100).unref());
      // Nobody waits for this any more; nothing of it may keep the process.
      if (this.#closed) await new Promise(() => undefined);
      const nowMs = monotonicMs();
      if (nowMs >= this.#dueMs) await this.#tellFelt();
      else if (nowMs - this.#bornMs > METER_LIFE_MS && this.#dueMs === Number.POSITIVE_INFINITY) await this.#renew();
    }
  }

  close(): void {
    this.#closed = true;
  }

  async #tellFelt(): Promise<void> {
    this.#dueMs = Number.POSITIVE_INFINITY;
    const stats = await this.#meter?.stats(this.#sinceMs);
    this.#sinceMs = monotonicMs();
    if (stats !== undefined) this.#stage.write(`${' '.repeat(21)}${clientLine(stats)}\n`);
  }

  async #renew(): Promise<void> {
    await this.#meter?.stop();
    this.#meter = await this.#stage.lab.meter({ intervalMs: METER_INTERVAL_MS, graceMs: 500 });
    this.#bornMs = this.#sinceMs = monotonicMs();
  }
}

function sentence(entry: HistoryEntry): [Label, ...string[]] | null {
  if (entry.kind === 'switch') return [entry.reason === 'preferred' ? 'failback' : 'failover', switchLine(entry)];
  if (entry.kind === 'health') {
    const label = entry.to === 'up' ? 'recovery' : entry.to === 'down' ? 'down' : 'problem';
    return [label, `${entry.uplink} is ${entry.to}: ${because(entry.reason)}`];
  }
  return entry.severity === 'warning' || entry.severity === 'error' ? ['problem', entry.text] : null;
}
