/**
 * systemd-resolved asks the servers of the active uplink: `resolvectl dns` for its link, which alone is a default route for names. A
 * thing is one setting of one link. The command lines are all here, since no systemd runs where the tests do. resolvectl(1).
 */
import type { ResolverConfig } from '../../core/services.js';
import { commandFailure, runCommand } from '../command.js';
import type { Service, Things } from './service.js';

/** The interface that an uplink has now; null = none is known. */
export type InterfaceOf = (uplink: string) => string | null;

export class ResolvedService implements Service {
  readonly goal: string;
  readonly after: readonly string[] = ['run: resolvectl flush-caches'];
  readonly #config: ResolverConfig;
  readonly #uplink: string;
  readonly #interfaceOf: InterfaceOf;

  constructor(config: ResolverConfig, uplink: string, interfaceOf: InterfaceOf) {
    this.#config = config;
    this.#uplink = uplink;
    this.#interfaceOf = interfaceOf;
    const asked = config.servers[uplink]?.join(', ');
    this.goal = asked === undefined ? `resolver: ${uplink} has no servers` : `systemd-resolved asks ${asked}`;
  }

  async want(): Promise<Things> {
    const servers = this.#config.servers[this.#uplink];
    if (servers === undefined) return {};
    const link = this.#interfaceOf(this.#uplink);
    if (link === null) throw new Error(`the interface of ${this.#uplink} is not known yet`);
    const others = Object.keys(this.#config.servers)
      .map((uplink) => this.#interfaceOf(uplink))
      .filter((other) => other !== null && other !== link);
    return {
      ...Object.fromEntries(others.map((other) => [`default-route ${other}`, 'no'])),
      [`dns ${link}`]: servers.join(' '),
      [`default-route ${link}`]: 'yes',
    };
  }

  async read(things: readonly string[]): Promise<Things> {
    const found: [string, string][] = [];
    for (const thing of things) found.push([thing, settingIn(thing, await resolvectl(thing.split(' '), this.#config.timeoutMs))]);
    return Object.fromEntries(found);
  }

  async put(things: Things, done: (thing: string) => void): Promise<void> {
    for (const [thing, value] of Object.entries(things)) {
      // An empty word takes the link's own servers away again.
      const values = thing.startsWith('dns ') ? (value ?? '').split(' ') : [value ?? 'no'];
      await resolvectl([...thing.split(' '), ...values], this.#config.timeoutMs);
      done(thing);
    }
  }

  async check(): Promise<void> {}

  async reload(): Promise<null> {
    return null;
  }

  async confirm(): Promise<void> {}

  /** Answers of the former servers may be of the former network alone. */
  async settle(): Promise<void> {
    await resolvectl(['flush-caches'], this.#config.timeoutMs);
  }

  tellChange(thing: string, from: string | null, to: string | null): string {
    return `run: resolvectl ${thing} ${to} (now ${from === null || from === '' ? 'nothing' : from})`;
  }
}

async function resolvectl(words: readonly string[], timeoutMs: number): Promise<string> {
  const argv = ['resolvectl', '--no-pager', ...words];
  const result = await runCommand({ argv, timeoutMs });
  const failure = commandFailure(argv, result);
  if (failure !== null) throw new Error(failure);
  return result.output;
}

/** `Link 2 (eth0): 192.0.2.1 192.0.2.2`: what stands behind the first colon after the link's name. */
function settingIn(thing: string, output: string): string {
  const link = thing.split(' ')[1] ?? '';
  for (const line of output.split('\n')) {
    const at = line.indexOf(`(${link}):`);
    if (line.startsWith('Link ') && at !== -1)
      return line
        .slice(at + link.length + 3)
        .trim()
        .replace(/\s+/g, ' ');
  }
  throw new Error(`resolvectl says nothing of ${link}`);
}
