/**
 * The resolver's servers follow the way out: dnsmasq's servers-file with SIGHUP, or resolv.conf. A thing is the file's path, its
 * value the text. dnsmasq(8), resolv.conf(5). Knows no transaction.
 */
import { readFile } from 'node:fs/promises';
import type { ResolverConfig } from '../../core/services.js';
import { behindLinks, readSmall, removeFile, replaceFile } from './disk.js';
import { mayReplace } from './files.js';
import type { Service, Things } from './service.js';

/** Files below are made anew by others at any time. */
const MADE_BY: readonly (readonly [folder: string, program: string])[] = [
  ['/run/systemd/resolve/', 'systemd-resolved: write `systemd-resolved: {}`'],
  ['/usr/lib/systemd/', 'systemd-resolved: write `systemd-resolved: {}`'],
  ['/run/NetworkManager/', 'NetworkManager: set its servers there, or `dns=none`'],
  ['/run/resolvconf/', 'resolvconf: remove it, or make this a plain file'],
  ['/run/connman/', 'connman'],
];

/** What both kinds of file have in common. */
abstract class ResolverFile implements Service {
  readonly goal: string;
  abstract readonly after: readonly string[];
  protected readonly config: ResolverConfig;
  protected readonly servers: readonly string[] | null;

  constructor(config: ResolverConfig, uplink: string) {
    this.config = config;
    this.servers = config.servers[uplink] ?? null;
    const asked = this.servers?.join(', ');
    this.goal = asked === undefined ? `resolver: ${uplink} has no servers` : `${config.how} asks ${asked}`;
  }

  async want(): Promise<Things> {
    const { path } = this.config;
    if (this.servers === null) return {};
    await this.mustBeOurs();
    await mayReplace(path);
    return { [path]: this.text(this.servers, (await readSmall(path))?.toString('utf8') ?? '') };
  }

  async read(things: readonly string[]): Promise<Things> {
    const found: [string, string | null][] = [];
    for (const path of things) found.push([path, (await readSmall(path))?.toString('utf8') ?? null]);
    return Object.fromEntries(found);
  }

  async put(things: Things, done: (thing: string) => void): Promise<void> {
    for (const [path, text] of Object.entries(things)) {
      if (text === null) await removeFile(path);
      // Resolvers run as users of their own.
      else await replaceFile(path, Buffer.from(text), 0o644);
      done(path);
    }
  }

  async check(): Promise<void> {}

  abstract reload(): Promise<string | null>;

  abstract confirm(): Promise<void>;

  async settle(): Promise<void> {}

  tellChange(thing: string, from: string | null): string {
    return `${from === null ? 'create' : 'rewrite'} ${thing} with the servers ${this.servers?.join(', ')}`;
  }

  /** @param standing the present text; '' where there is none */
  protected abstract text(servers: readonly string[], standing: string): string;

  /** @throws Error for people where somebody else writes this file */
  protected abstract mustBeOurs(): Promise<void>;
}

export class DnsmasqService extends ResolverFile {
  readonly after: readonly string[] = [`send SIGHUP to the dnsmasq of ${this.config.pidFile}`];
  #signalled: number | null = null;

  async reload(): Promise<string | null> {
    this.#signalled = null;
    const pid = await dnsmasqPid(this.config.pidFile);
    if (pid === null) return 'dnsmasq does not run, and takes it up at its start';
    process.kill(pid, 'SIGHUP');
    this.#signalled = pid;
    return null;
  }

  async confirm(): Promise<void> {
    if (this.#signalled !== null && (await dnsmasqPid(this.config.pidFile)) !== this.#signalled)
      throw new Error('dnsmasq ended when it was told to read its servers again');
  }

  protected text(servers: readonly string[]): string {
    return `# Written by backroute.\n${servers.map((server) => `server=${server}\n`).join('')}`;
  }

  /** The whole file is ours: dnsmasq's own settings stand elsewhere. */
  protected async mustBeOurs(): Promise<void> {}
}

/**
 * The running dnsmasq; null = none. A number left by one that was killed may be anybody's by now: the program's name decides.
 * @throws Error for people where it cannot be told
 */
export async function dnsmasqPid(pidFile: string | null): Promise<number | null> {
  if (pidFile === null) return null;
  const text = (await readSmall(pidFile))?.toString('utf8').trim() ?? '';
  if (!/^[1-9]\d*$/.test(text)) return null;
  const name = await readFile(`/proc/${text}/comm`, 'utf8').catch(() => '');
  return name.trim() === 'dnsmasq' ? Number(text) : null;
}

export class ResolvConfService extends ResolverFile {
  readonly after: readonly string[] = [];

  async reload(): Promise<null> {
    return null;
  }

  async confirm(): Promise<void> {}

  /** Search list, options and comments are the administrator's. The first server stands where the first one stood. */
  protected text(servers: readonly string[], standing: string): string {
    const ours = servers.map((server) => `nameserver ${server}`);
    const lines = standing === '' ? [] : standing.replace(/\n$/, '').split('\n');
    const isServer = (line: string): boolean => /^\s*nameserver\s/.test(line);
    const first = lines.findIndex(isServer);
    const at = first === -1 ? lines.length : first;
    const rest = lines.slice(at).filter((line) => !isServer(line));
    return `${[...lines.slice(0, at), ...ours, ...rest].join('\n')}\n`;
  }

  protected async mustBeOurs(): Promise<void> {
    const { path } = this.config;
    const file = await behindLinks(path);
    const maker = MADE_BY.find(([folder]) => file.startsWith(folder))?.[1];
    if (maker !== undefined) throw new Error(`${path} leads to ${file}, which is made by ${maker}`);
  }
}
