/**
 * Postfix follows the way out: relayhost and credentials, by Postfix's own tools. A thing is a parameter of one main.cf, its value
 * as it stands there; null = not set there. Nothing but the parameters named here is touched. postconf(1), postfix(1),
 * SASL_README. Knows no transaction.
 */
import { randomBytes } from 'node:crypto';
import { readdir, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { RelayConfig, Smarthost } from '../../core/services.js';
import { type CommandResult, commandFailure, runCommand } from '../command.js';
import { readSecret, redact } from '../telling/secret.js';
import { diskError, readSmall, removeFile, replaceFile } from './disk.js';
import { mapsOf } from './postfix-maps.js';
import type { Service, Things } from './service.js';

/** Opened by smtp(8) before it gives up root, so it may be root's alone. */
const MAP_PREFIX = 'backroute_sasl_passwd.';
/** Read as it is, at each start of smtp(8): no second file to be kept in step, and every Postfix has it (2.8 and later). */
const MAP_TYPE = 'texthash';
/** What is deferred only when its session ends comes after the first flush. */
const FLUSH_AGAIN_AFTER_MS = [1_000, 2_000, 4_000];
const COOL_S = 3;

/** Ends the connections of this machine to a smarthost whose uplink is dead. */
export interface StuckSessions {
  /** @param spare hosts whose addresses must be left alone */
  end(uplink: string, smarthost: Pick<Smarthost, 'host' | 'port'>, spare: readonly string[]): Promise<void>;
}

export class PostfixService implements Service {
  readonly goal: string;
  readonly after: readonly string[];
  readonly #config: RelayConfig;
  readonly #smarthost: Smarthost | null;
  readonly #sessions: StuckSessions;
  /** a map that is still to be written */
  #pending: { readonly path: string; readonly content: string } | null = null;
  #secrets: readonly string[] = [];
  #expected: readonly (readonly [key: string, value: string])[] = [];
  #wasRunning = false;

  constructor(config: RelayConfig, uplink: string, sessions: StuckSessions) {
    this.#config = config;
    this.#smarthost = config.smarthosts[uplink] ?? null;
    this.#sessions = sessions;
    const relayhost = this.#smarthost?.relayhost;
    this.goal = relayhost === undefined ? `mail-relay: ${uplink} has no smarthost` : `Postfix relays through ${relayhost}`;
    const tool = (words: string): string => `run: ${words.replace(' ', ` -c ${config.postfixDirectory} `)}`;
    this.after = [
      tool('postfix check'),
      tool('postfix reload'),
      'end the SMTP sessions stuck in dead uplinks',
      tool('postqueue -f'),
    ];
  }

  async want(signal: AbortSignal): Promise<Things> {
    if (this.#smarthost === null) return {};
    const credentials = await this.#wantCredentials(this.#smarthost, signal);
    return { [this.#thing('relayhost')]: this.#smarthost.relayhost, ...credentials };
  }

  async read(things: readonly string[]): Promise<Things> {
    const found = new Map<string, string | null>(things.map((thing) => [thing, null]));
    for (const [directory, names] of byDirectory(things)) {
      const output = await this.#postconf(directory, ['-n', ...names]);
      for (const line of output.split('\n')) {
        const [, name, value] = /^(\w+) =(.*)$/.exec(line) ?? [];
        // Complaints about other parameters stand between them.
        if (name !== undefined && names.includes(name)) found.set(inDirectory(directory, name), (value ?? '').trim());
      }
    }
    return Object.fromEntries(found);
  }

  async put(things: Things, done: (thing: string) => void): Promise<void> {
    const pending = this.#pending;
    const forward = pending !== null && things[this.#thing('smtp_sasl_password_maps')]?.includes(pending.path) === true;
    // Before main.cf names it: whoever reads main.cf in between must find it.
    if (forward) {
      await replaceFile(pending.path, Buffer.from(pending.content), 0o600);
      await letCool(pending.path);
    }
    for (const [directory, names] of byDirectory(Object.keys(things))) {
      const value = (name: string): string | null => things[inDirectory(directory, name)] ?? null;
      const set = names.filter((name) => value(name) !== null);
      const unset = names.filter((name) => value(name) === null);
      // One call, one rename of main.cf: smtp(8) reads it at each start, and must not find half of this.
      if (set.length > 0) await this.#postconf(directory, ['-e', ...set.map((name) => `${name}=${value(name)}`)]);
      if (unset.length > 0) await this.#postconf(directory, ['-X', ...unset]);
      await letCool(join(directory, 'main.cf'));
      for (const name of names) done(inDirectory(directory, name));
    }
    // On the way back nobody names it any more.
    if (!forward && pending !== null) await removeFile(pending.path);
  }

  async check(signal: AbortSignal): Promise<void> {
    this.#mustSucceed('postfix', await this.#run('postfix', ['check'], signal));
  }

  async reload(): Promise<string | null> {
    this.#wasRunning = await this.#isRunning();
    if (!this.#wasRunning) return 'Postfix does not run, and takes it up at its start';
    this.#mustSucceed('postfix', await this.#run('postfix', ['reload']));
    return null;
  }

  async confirm(): Promise<void> {
    for (const [key, value] of this.#expected) {
      const maps = (await this.read([this.#thing('smtp_sasl_password_maps')]))[this.#thing('smtp_sasl_password_maps')];
      const map = mapsOf(maps ?? '')[0] ?? '';
      const { output } = await this.#run('postmap', ['-q', key, map]);
      // As Postfix itself reads it: quotes, spaces and comments included.
      if (!output.split('\n').includes(value)) throw new Error(`Postfix does not find the login for ${key} in ${map}`);
    }
    // A main.cf that it cannot bear ends the master after the reload has succeeded.
    if (this.#wasRunning && !(await this.#isRunning())) throw new Error('Postfix ended when it was told to reload');
  }

  async settle(): Promise<void> {
    await this.#removeMaps();
    await this.#endSessions();
    if (this.#wasRunning) await this.#flush();
  }

  async linger(signal: AbortSignal): Promise<void> {
    if (!this.#wasRunning) return;
    for (const ms of FLUSH_AGAIN_AFTER_MS) {
      await pause(ms, undefined, { signal });
      await this.#endSessions();
      await this.#flush();
    }
  }

  tellChange(thing: string, from: string | null, to: string | null): string {
    const [directory, name] = split(thing);
    const now = from === null ? 'not set now' : `now "${from}"`;
    return `${to === null ? `unset ${name}` : `set ${name} = ${to}`} in ${join(directory, 'main.cf')} (${now})`;
  }

  #thing(name: string): string {
    return inDirectory(this.#config.postfixDirectory, name);
  }

  /**
   * All logins in one map, so that a switch changes relayhost alone; ours before the administrator's own maps. Each content has a
   * file of its own: the former one stays whole until the new one holds. Nothing is touched where no uplink has a login.
   */
  async #wantCredentials(smarthost: Smarthost, signal: AbortSignal): Promise<Things> {
    const others = Object.values(this.#config.smarthosts).filter(({ relayhost }) => relayhost !== smarthost.relayhost);
    const logins = new Map<string, string>();
    const secrets: string[] = [];
    for (const { relayhost, login } of [smarthost, ...others]) {
      if (login === null || logins.has(relayhost)) continue;
      try {
        const password = await readSecret(login.password);
        secrets.push(password);
        logins.set(relayhost, mapValue(relayhost, login.user, password));
      } catch (error) {
        // Another uplink's matters when that is wanted.
        if (relayhost === smarthost.relayhost) throw error;
      }
    }
    this.#secrets = secrets;
    if (logins.size === 0) return {};
    this.#expected = smarthost.login === null ? [] : [...logins].filter(([relayhost]) => relayhost === smarthost.relayhost);
    const content = [...logins].sort().map(([relayhost, value]) => `${relayhost} ${value}\n`);
    return this.#wantMap(
      `# Written by backroute; its configuration says where the passwords come from.\n${content.join('')}`,
      signal,
    );
  }

  async #wantMap(content: string, signal: AbortSignal): Promise<Things> {
    const name = this.#thing('smtp_sasl_password_maps');
    const types = await this.#run('postconf', ['-m'], signal);
    this.#mustSucceed('postconf', types);
    if (!types.output.split('\n').includes(MAP_TYPE)) throw new Error(`this Postfix knows no ${MAP_TYPE} maps (postconf -m)`);
    const standing = (await this.read([name]))[name] ?? '';
    const ours = `${MAP_TYPE}:${join(this.#config.postfixDirectory, MAP_PREFIX)}`;
    const maps = mapsOf(standing);
    const path = maps.find((map) => map.startsWith(ours))?.slice(MAP_TYPE.length + 1) ?? null;
    const keep = path !== null && maps[0] === `${MAP_TYPE}:${path}` && (await standsAs(path, content));
    this.#pending = keep
      ? null
      : { path: join(this.#config.postfixDirectory, `${MAP_PREFIX}${randomBytes(6).toString('hex')}`), content };
    const behind = maps.filter((map) => !map.startsWith(ours));
    const wanted = this.#pending === null ? standing : [`${MAP_TYPE}:${this.#pending.path}`, ...behind].join(', ');
    return { [this.#thing('smtp_sasl_auth_enable')]: 'yes', [name]: wanted };
  }

  /** Those that no main.cf names any more. */
  async #removeMaps(): Promise<void> {
    const directory = this.#config.postfixDirectory;
    const name = this.#thing('smtp_sasl_password_maps');
    const standing = (await this.read([name]))[name] ?? '';
    const names = await readdir(directory).catch((error: unknown) => Promise.reject(diskError(directory, error)));
    const stale = names.filter((file) => file.startsWith(MAP_PREFIX) && !standing.includes(join(directory, file)));
    for (const file of stale) await removeFile(join(directory, file));
  }

  async #endSessions(): Promise<void> {
    const now = this.#smarthost;
    if (now === null) return;
    for (const [uplink, smarthost] of Object.entries(this.#config.smarthosts)) {
      if (smarthost.host === now.host && smarthost.port === now.port) continue;
      await this.#sessions.end(uplink, smarthost, [now.host]);
    }
  }

  async #flush(): Promise<void> {
    const failure = commandFailure(['postqueue'], await this.#run('postqueue', ['-f']));
    if (failure !== null) throw new Error(`the queue was not flushed: ${failure}`);
  }

  async #isRunning(): Promise<boolean> {
    const result = await this.#run('postfix', ['status']);
    if (result.spawnError !== null || result.timedOut) this.#mustSucceed('postfix', result);
    return result.code === 0;
  }

  async #postconf(directory: string, words: readonly string[]): Promise<string> {
    const argv = ['postconf', '-c', directory, ...words];
    const result = await runCommand({ argv, timeoutMs: this.#config.timeoutMs });
    this.#mustSucceed('postconf', result);
    return result.output;
  }

  #run(tool: string, words: readonly string[], signal?: AbortSignal): Promise<CommandResult> {
    const argv = [tool, '-c', this.#config.postfixDirectory, ...words];
    return runCommand({ argv, timeoutMs: this.#config.timeoutMs, ...(signal === undefined ? {} : { signal }) });
  }

  #mustSucceed(tool: string, result: CommandResult): void {
    const failure = commandFailure([tool], result);
    if (failure === null) return;
    // postfix(1) tells its reasons to the log alone when nobody sits at a terminal.
    const where = tool === 'postfix' && result.output.trim() === '' ? ' (the mail log says why)' : '';
    throw new Error(redact(`${failure}${where}`, this.#secrets));
  }
}

/** One line of the map. @throws Error for people where Postfix would read it otherwise */
function mapValue(relayhost: string, user: string, password: string): string {
  if (/[\s#]/.test(relayhost)) throw new Error(`${relayhost}: a relayhost has no spaces`);
  if (user.includes(':') || /[\s\p{Cc}]/u.test(user))
    throw new Error(`the login for ${relayhost}: no colon and no space in the user's name`);
  if (password !== password.trim())
    throw new Error(`the login for ${relayhost}: Postfix takes no space at the end of a password`);
  return `${user}:${password}`;
}

async function standsAs(path: string, content: string): Promise<boolean> {
  const found = await readSmall(path);
  return found !== null && found.toString('utf8') === content && ((await stat(path)).mode & 0o077) === 0;
}

/**
 * Every program of Postfix waits until a file that it reads was last written two seconds ago, since it may be half written
 * (dict_load_file_xt, dict_thash). These were renamed into place, and mail need not wait.
 */
async function letCool(path: string): Promise<void> {
  const seconds = Date.now() / 1000 - COOL_S;
  await utimes(path, seconds, seconds).catch(() => undefined);
}

function inDirectory(directory: string, name: string): string {
  return `${directory} ${name}`;
}

function split(thing: string): readonly [directory: string, name: string] {
  const at = thing.lastIndexOf(' ');
  return [thing.slice(0, at), thing.slice(at + 1)];
}

function byDirectory(things: readonly string[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const thing of things) {
    const [directory, name] = split(thing);
    found.set(directory, [...(found.get(directory) ?? []), name]);
  }
  return found;
}
