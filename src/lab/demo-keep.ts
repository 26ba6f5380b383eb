/**
 * The demo's second half with `--keep`: the network stays for a person to cut and mend from another terminal, and whatever the
 * daemon does about it goes on being told. Ends only by the interruption.
 */
import type { HistoryEntry } from '../core/entry.js';
import { monotonicMs } from './clock.js';
import { AFTERMATH_MS, METER, type Stage } from './demo-stage.js';
import { because, clientLine, detail, type Label, switchLine } from './demo-text.js';
import type { Meter } from './meter.js';
import { DEFAULT_STATE_DIR, listLabs } from './state.js';
import { SERVER4 } from './topologies.js';

/** A meter remembers every packet: a fresh one after this keeps it small however long the network stays. */
const METER_LIFE_MS = 10 * 60_000;

/** Rejects with the interruption's reason, or with a LabError when the daemon ends. */
export async function keepRunning(stage: Stage): Promise<void> {
  const teller = new Teller(stage);
  const stop = stage.daemon.onEvent((entry) => teller.event(entry));
  stage.write(commandsToTry(stage));
  try {
    await teller.run();
  } finally {
    stop();
  }
}

function commandsToTry({ lab, daemon, paint }: Stage): string {
  const place = lab.stateDir === DEFAULT_STATE_DIR ? '' : ` --state-dir ${lab.stateDir}`;
  const which = listLabs(lab.stateDir).length > 1 ? ` --name ${lab.name}` : '';
  const labVerb = (words: string) => `bin/backroute lab ${words}${which}${place}`;
  const rows = [
    [labVerb('cut fast'), 'its provider goes silent'],
    [labVerb('cut fast --kind router'), 'its router is off'],
    [labVerb('cut fast --loss 40'), '40 % of its packets are lost'],
    [labVerb('mend fast'), 'all of it works again'],
    [`bin/backroute status --watch --run-dir ${daemon.runDir}`, 'what Backroute sees'],
    [`bin/backroute force backup --run-dir ${daemon.runDir}`, 'by hand; `auto` undoes it'],
    [`ip netns exec ${lab.ns('gateway')} ip route`, 'what the kernel does'],
    [`ip netns exec ${lab.ns('client')} ping ${SERVER4}`, 'what the client sees'],
  ] as const;
  const width = Math.max(...rows.map(([command]) => command.length));
  return [
    '\nThe network stays. Try in another terminal, as root:\n',
    ...rows.map(([command, what]) => `   ${paint('bold', command.padEnd(width))}   ${paint('dim', what)}\n`),
    'What happens is told here. Ctrl-C ends it and removes everything.\n\n',
  ].join('');
}

/** Tells events as they come and, some time after each switch, what the client felt since the last time it was told. */
class Teller {
  readonly #stage: Stage;
  /** when the client is asked next, CLOCK_MONOTONIC; null = nothing has happened */
  #dueMs: number | null = null;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  event(entry: HistoryEntry): void {
    const said = sentence(entry);
    if (said === null) return;
    this.#stage.tell(entry.wallMs, ...said);
    if (entry.kind === 'switch') this.#dueMs = monotonicMs() + AFTERMATH_MS;
  }

  /** Rejects when a meter breaks, when the daemon ends, or with the interruption's reason. */
  async run(): Promise<never> {
    let meter = await this.#freshMeter();
    let bornMs = monotonicMs();
    let sinceMs = bornMs;
    for (;;) {
      await this.#stage.rest(100);
      const nowMs = monotonicMs();
      if (this.#dueMs !== null && nowMs >= this.#dueMs) {
        this.#dueMs = null;
        this.#stage.write(detail(clientLine(await meter.stats(sinceMs))));
        sinceMs = nowMs;
      } else if (this.#dueMs === null && nowMs - bornMs > METER_LIFE_MS) {
        await meter.stop();
        meter = await this.#freshMeter();
        bornMs = sinceMs = monotonicMs();
      }
    }
  }

  #freshMeter(): Promise<Meter> {
    return this.#stage.lab.meter(METER);
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
