/**
 * The program behind one emulated link: a TUN device at each end, packets carried between them by two LinkDirections, and
 * a control socket. One process per link, one blocking loop; it knows nothing of topologies. Started by links.ts.
 */

import { monotonicMs } from './clock.js';
import { serveControl } from './control-server.js';
import { type LinkCounters, LinkDirection, type LinkProfile, perfectLink, profileProblems } from './emulator.js';
import { FdLoop } from './fd-loop.js';
import { sayReady } from './helper-process.js';
import { dropTimerSlack, inNamespace, openTun, read, runAhead, setTunCarrier, write } from './libc.js';
import { type Recording, type ReplayOptions, startReplay } from './replay.js';
import { watchTether } from './tether.js';

/** The program's only argument, as JSON. `out` is the direction from end a to end b, `in` the other. */
export interface LinkProcessOptions {
  readonly a: { readonly namespacePath: string; readonly device: string };
  readonly b: { readonly namespacePath: string; readonly device: string };
  readonly socketPath: string;
  readonly out: LinkProfile;
  readonly in: LinkProfile;
  readonly seed: number;
}

/** A failure laid over the link's own profile, both directions; mending takes it away and the profile holds again. */
export interface LinkOverlay {
  readonly outage?: boolean;
  readonly loss?: number;
  readonly extraDelayMs?: number;
  /** end a has lost its carrier, and its kernel is told so */
  readonly noCarrier?: boolean;
}

export interface LinkReport {
  readonly out: { readonly profile: LinkProfile; readonly counters: LinkCounters };
  readonly in: { readonly profile: LinkProfile; readonly counters: LinkCounters };
  readonly overlay: LinkOverlay;
  readonly replaying: boolean;
}

export type LinkCommand =
  | { readonly do: 'get' }
  | { readonly do: 'set'; readonly out?: Partial<LinkProfile>; readonly in?: Partial<LinkProfile> }
  /** adds to the failures in force */
  | { readonly do: 'fail'; readonly overlay: LinkOverlay }
  /** ends failures and replays */
  | { readonly do: 'mend' }
  | { readonly do: 'replay'; readonly recording: Recording | null; readonly options: ReplayOptions };

/** Leaving this much early makes up for waking, reading and writing: 2 x 10 ms then give 20.1 to 20.4 ms, measured by ping. */
const WRITE_LEAD_MS = 0.2;
const PACKET_BYTES = 65_536;

function main(options: LinkProcessOptions): void {
  runAhead();
  dropTimerSlack();
  const fdA = inNamespace(options.a.namespacePath, () => openTun(options.a.device));
  const fdB = inNamespace(options.b.namespacePath, () => openTun(options.b.device));
  const out = new LinkDirection(options.out, options.seed);
  const back = new LinkDirection(options.in, options.seed + 1);
  const loop = new FdLoop();
  const buffer = Buffer.alloc(PACKET_BYTES);

  const carry = (from: number, direction: LinkDirection) => {
    loop.watch(from, () => {
      for (let bytes = read(from, buffer); bytes > 0; bytes = read(from, buffer)) {
        direction.accept(Uint8Array.prototype.slice.call(buffer, 0, bytes), monotonicMs());
      }
    });
  };
  carry(fdA, out);
  carry(fdB, back);

  const deliver = (direction: LinkDirection, to: number, nowMs: number) => {
    // A write that fails (device down, its queue full) is a lost packet, as on a cable.
    for (let packet = direction.takeDue(nowMs); packet !== null; packet = direction.takeDue(nowMs)) write(to, packet);
  };

  let profiles = { out: options.out, in: options.in };
  let overlay: LinkOverlay = {};
  let replaying = false;
  const enforce = (next: typeof profiles, over: LinkOverlay) => {
    const effective = { out: overlaid(next.out, over), in: overlaid(next.in, over) };
    const problems = [...profileProblems(effective.out), ...profileProblems(effective.in)];
    if (problems.length > 0) throw new Error([...new Set(problems)].join('; '));
    if ((over.noCarrier ?? false) !== (overlay.noCarrier ?? false)) setTunCarrier(fdA, over.noCarrier !== true);
    out.setProfile(effective.out);
    back.setProfile(effective.in);
    profiles = next;
    overlay = over;
  };
  const replay = (recording: Recording | null, how: ReplayOptions) => {
    const started = recording === null ? null : startReplay(recording, how, monotonicMs());
    out.setReplay(started);
    back.setReplay(started);
    replaying = started !== null;
  };

  serveControl(loop, options.socketPath, (raw) => {
    const command = raw as LinkCommand;
    switch (command.do) {
      case 'get':
        return {
          out: { profile: out.profile, counters: out.counters },
          in: { profile: back.profile, counters: back.counters },
          overlay,
          replaying,
        } satisfies LinkReport;
      case 'set':
        return enforce({ out: { ...profiles.out, ...command.out }, in: { ...profiles.in, ...command.in } }, overlay);
      case 'fail':
        return enforce(profiles, { ...overlay, ...command.overlay });
      case 'mend':
        replay(null, {});
        return enforce(profiles, {});
      case 'replay':
        return replay(command.recording, command.options);
      default:
        throw new Error(`unknown command ${JSON.stringify(raw)}`);
    }
  });

  watchTether(loop, () => loop.stop());
  sayReady();
  loop.run((nowMs) => {
    deliver(out, fdB, nowMs + WRITE_LEAD_MS);
    deliver(back, fdA, nowMs + WRITE_LEAD_MS);
    return Math.min(out.nextDueMs(), back.nextDueMs()) - WRITE_LEAD_MS;
  });
}

function overlaid(profile: LinkProfile, over: LinkOverlay): LinkProfile {
  return {
    ...profile,
    outage: over.noCarrier === true || (over.outage ?? profile.outage),
    loss: over.loss ?? profile.loss,
    delayMs: profile.delayMs + (over.extraDelayMs ?? 0),
  };
}

const parsed: Partial<LinkProcessOptions> = JSON.parse(process.argv[2] ?? '{}');
const { a, b, socketPath, seed = 1 } = parsed;
if (a === undefined || b === undefined || socketPath === undefined) {
  throw new Error('this program is started by the lab, with its options as one JSON argument');
}
main({ a, b, socketPath, seed, out: { ...perfectLink, ...parsed.out }, in: { ...perfectLink, ...parsed.in } });
