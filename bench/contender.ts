/**
 * What is measured, as the runs see it: a program in the lab's gateway that moves the default route. Ours and others alike:
 * nothing here asks a program what it believes, only the kernel what the route is.
 */
import type { Lab } from '../src/lab/lab.js';
import { run } from '../src/lab/run.js';
import type { ProbeKind } from './tap.js';

export interface Contender {
  readonly name: string;
  readonly probes: ProbeKind;
  /** how it was set up, in a few words: a comparison is worth no more than the configurations */
  readonly settings: string;
  /** why it cannot take part at this rate on this machine, with the remedy where there is one; null = it can */
  unable(intervalMs: number): string | null;
  /** Starts it in a lab of the classic topology; resolves when it works and the fast uplink is in use. */
  start(lab: Lab, intervalMs: number): Promise<Running>;
}

export interface Running {
  /** everything is well and no doubt is pending: a failure may come now */
  settled(): Promise<boolean>;
  /** how long an answer is waited for at this moment; null = the program does not tell */
  deadlineMs(): Promise<number | null>;
  stop(): Promise<void>;
}

/** The uplink that the gateway's default route goes by; null = none. The kernel obeys the lowest metric with a carrier. */
export async function activeUplink(lab: Lab): Promise<string | null> {
  const { stdout } = await run(['ip', '-n', lab.ns('gateway'), '-j', '-4', 'route', 'show', 'default']);
  const routes = JSON.parse(stdout) as readonly { gateway?: string; metric?: number; flags?: readonly string[] }[];
  const alive = routes.filter((route) => route.flags?.includes('linkdown') !== true);
  const [first] = alive.toSorted((a, b) => (a.metric ?? 0) - (b.metric ?? 0));
  return lab.uplinks.find((uplink) => uplink.gateway4 === first?.gateway)?.name ?? null;
}
