/**
 * The way of old, for any service with configuration files: per uplink a list of copies, a check command, a reload command. A thing
 * is the path of a copy's target, its value the content in base64. Knows no transaction.
 */
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Argv, FilesConfig } from '../../core/services.js';
import { commandFailure, runCommand } from '../command.js';
import { behindLinks, diskError, readSmall, removeFile, replaceFile } from './disk.js';
import type { Service, Things } from './service.js';

/** A wish to start what is running has no business with its result: `check` may be ended early, `reload` never. */
export class FilesService implements Service {
  readonly goal: string;
  readonly after: readonly string[];
  readonly #config: FilesConfig;
  readonly #uplink: string;
  /** of the source, for a target that is not there yet */
  readonly #modes = new Map<string, number>();

  constructor(config: FilesConfig, uplink: string) {
    this.#config = config;
    this.#uplink = uplink;
    const count = config.copies[uplink]?.length ?? 0;
    this.goal = count === 0 ? `${config.name}: ${uplink} has no files` : `${config.name} has the files of ${uplink}`;
    const { check, reload } = config;
    this.after = [
      ...(check === null ? [] : [`run the check: ${check.join(' ')}`]),
      ...(reload === null ? [] : [`run the reload: ${reload.join(' ')}`]),
    ];
  }

  async want(): Promise<Things> {
    const wanted: [string, string][] = [];
    for (const { from, to } of this.#config.copies[this.#uplink] ?? []) {
      const content = await readSmall(from);
      if (content === null) throw new Error(`${from}: is not there, nothing was copied`);
      this.#modes.set(to, (await stat(from)).mode & 0o777);
      await mayReplace(to);
      wanted.push([to, content.toString('base64')]);
    }
    return Object.fromEntries(wanted);
  }

  async read(things: readonly string[]): Promise<Things> {
    const found: [string, string | null][] = [];
    for (const path of things) found.push([path, (await readSmall(path))?.toString('base64') ?? null]);
    return Object.fromEntries(found);
  }

  async put(things: Things, done: (thing: string) => void): Promise<void> {
    for (const [path, content] of Object.entries(things)) {
      if (content === null) await removeFile(path);
      else await replaceFile(path, Buffer.from(content, 'base64'), this.#modes.get(path));
      done(path);
    }
  }

  async check(signal: AbortSignal): Promise<void> {
    if (this.#config.check !== null) await this.#run(this.#config.check, signal);
  }

  async reload(): Promise<null> {
    if (this.#config.reload !== null) await this.#run(this.#config.reload);
    return null;
  }

  async confirm(): Promise<void> {}

  async settle(): Promise<void> {}

  tellChange(thing: string, from: string | null, to: string | null): string {
    if (to === null) return `remove ${thing}`;
    const source = this.#config.copies[this.#uplink]?.find((copy) => copy.to === thing)?.from;
    return `${from === null ? 'create' : 'replace'} ${thing}${source === undefined ? ' as it was before' : ` by ${source}`}`;
  }

  async #run(argv: Argv, signal?: AbortSignal): Promise<void> {
    const environment = { BACKROUTE_FOLLOWER: this.#config.name, BACKROUTE_UPLINK: this.#uplink };
    const { timeoutMs } = this.#config;
    const result = await runCommand({ argv, environment, timeoutMs, ...(signal === undefined ? {} : { signal }) });
    const failure = commandFailure(argv, result);
    if (failure !== null) throw new Error(failure);
  }
}

/** Told before anything is changed, not by the third copy of five. @throws Error for people */
export async function mayReplace(path: string): Promise<void> {
  const folder = dirname(await behindLinks(path));
  await access(folder, constants.W_OK | constants.X_OK).catch((error: unknown) => Promise.reject(diskError(folder, error)));
}
