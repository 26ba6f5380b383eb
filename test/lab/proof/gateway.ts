/**
 * The stage of the proofs: a lab, and the real `backroute run` in its gateway with a config, a state and a run folder of its
 * own. Asks the daemon over its control socket and the kernel with `ip`; whatever happens, everything is gone afterwards, and
 * a failed proof shows the log and the routes. Knows nothing of the daemon's inside.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SOCKET_FILE } from '../../../src/api/server.js';
import { askDaemon } from '../../../src/cli/client.js';
import type { HistoryEntry } from '../../../src/core/entry.js';
import type { FamilyView, PathView, StatusView } from '../../../src/core/messages.js';
import type { Family } from '../../../src/core/model.js';
import { monotonicMs } from '../../../src/lab/clock.js';
import { Lab, type LabOptions } from '../../../src/lab/lab.js';
import type { Meter } from '../../../src/lab/meter.js';
import { missingRequirement } from '../../../src/lab/requirements.js';
import { type RunResult, run, toolEnvironment } from '../../../src/lab/run.js';
import { filesDir } from '../../../src/lab/state.js';
import type { TopologyName } from '../../../src/lab/topologies.js';
import { until } from '../../../src/lab/until.js';
import type { ConfigFile } from './config-file.js';

const PROGRAM = fileURLToPath(new URL('../../../../bin/backroute', import.meta.url));
const SKIP = missingRequirement()?.message ?? false;
/** Far beyond what anything here should take: a slow machine must not look like a broken program. */
const PATIENCE_MS = 20_000;
const ASK_EVERY_MS = 20;

export interface Setting {
  readonly topology: TopologyName;
  readonly config: ConfigFile;
  readonly links?: LabOptions['links'];
  readonly variant?: LabOptions['variant'];
  /** before the daemon starts */
  readonly prepare?: (gateway: Gateway) => Promise<void>;
  /** false: the proof starts it itself */
  readonly start?: boolean;
  /** the daemon runs before all ordinary programs, as the lab's traffic does: where times are told, a busy machine is no slow program */
  readonly ahead?: boolean;
  /** of the whole proof, ms; default 90 s */
  readonly timeout?: number;
  /** why it cannot be told here, beyond what every lab needs */
  readonly skip?: string | false;
}

/** A test in its own lab. Where the lab cannot be built the test is skipped with the reason. */
export function proof(story: string, setting: Setting, tell: (gateway: Gateway, t: TestContext) => Promise<void>): void {
  test(story, { skip: SKIP || (setting.skip ?? false), timeout: setting.timeout ?? 90_000 }, async (t) => {
    const { topology, links, variant } = setting;
    const lab = await Lab.create(topology, { ...(links && { links }), ...(variant && { variant }) });
    try {
      const gateway = new Gateway(lab, setting.config, setting.ahead);
      await explained(t, gateway, async () => {
        await setting.prepare?.(gateway);
        if (setting.start !== false) await gateway.start();
        await tell(gateway, t);
      });
    } finally {
      await lab.destroy();
    }
  });
}

async function explained(t: TestContext, gateway: Gateway, story: () => Promise<void>): Promise<void> {
  try {
    await story();
  } catch (error) {
    t.diagnostic(await gateway.explanation());
    throw error;
  }
}

/** Asks until the answer is something other than null or false, and gives it. Rejects when it never is. */
export async function eventually<T>(
  what: string,
  ask: () => T | null | false | Promise<T | null | false>,
  withinMs = PATIENCE_MS,
): Promise<T> {
  let answer: T | null | false = null;
  await until(
    async () => {
      answer = await ask();
      return answer !== null && answer !== false;
    },
    withinMs,
    ASK_EVERY_MS,
  );
  if (answer === null || answer === false) throw new assert.AssertionError({ message: `not within ${withinMs} ms: ${what}` });
  return answer;
}

/** Waits until packets that were sent from now on have come back: the client has a way out. */
export async function flowing(meter: Meter, packets = 20): Promise<void> {
  const sinceMs = monotonicMs();
  await eventually('packets come back to the client', async () => (await meter.stats(sinceMs)).received >= packets);
}

/** Lets the client send on until packets from so much time are out: what a story needs to last is measured by its traffic. */
export async function lasting(meter: Meter, durationMs: number): Promise<void> {
  const sinceMs = monotonicMs();
  const isOver = async () => ((await meter.packets(sinceMs)).at(-1)?.sentMs ?? sinceMs) - sinceMs >= durationMs;
  await eventually(`the client sends for ${durationMs} ms`, isOver, durationMs + PATIENCE_MS);
}

/** A default route as `ip -j route` tells it. */
export interface DefaultRoute {
  readonly gateway?: string;
  readonly dev?: string;
  readonly protocol?: string;
  readonly metric?: number;
  readonly flags?: readonly string[];
}

interface Daemon {
  readonly child: ChildProcess;
  readonly ended: Promise<void>;
}

export class Gateway {
  readonly lab: Lab;
  readonly dir: string;
  readonly configPath: string;
  readonly stateDir: string;
  readonly runDir: string;
  /** programs that ours finds before those of the machine */
  readonly #binDir: string;
  readonly #logPath: string;
  /** what the program is started with */
  readonly #before: readonly string[];
  #daemon: Daemon | null = null;

  constructor(lab: Lab, config: ConfigFile, ahead = false) {
    this.lab = lab;
    this.#before = ahead ? ['chrt', '--rr', '1'] : [];
    // Among the lab's own files: gone with it, even when this process is killed.
    this.dir = join(filesDir(lab.stateDir, lab.name), 'gateway');
    this.configPath = join(this.dir, 'backroute.yaml');
    this.stateDir = join(this.dir, 'state');
    this.runDir = join(this.dir, 'run');
    this.#binDir = join(this.dir, 'bin');
    this.#logPath = join(this.dir, 'daemon.log');
    mkdirSync(this.dir, { recursive: true });
    this.configure(config);
  }

  // ---- the program ---------------------------------------------------------------------------------------------------

  /** Writes the file; a daemon that runs is not told. A text is written as it is. */
  configure(config: ConfigFile | string): void {
    // JSON is YAML.
    writeFileSync(this.configPath, typeof config === 'string' ? config : JSON.stringify(config, null, 2));
  }

  /** Starts the daemon; resolves when it serves its socket, which is after it has adopted the routes. */
  async start(): Promise<void> {
    const log = openSync(this.#logPath, 'a');
    const child = this.lab.spawn('gateway', [...this.#before, ...this.argv('run')], {
      stdio: ['ignore', log, log],
      env: this.#environment(),
    });
    closeSync(log);
    const ended = new Promise<void>((resolve) => {
      child.once('exit', () => resolve());
      child.once('error', () => resolve());
    });
    this.#daemon = { child, ended };
    await eventually('the daemon answers', async () => {
      assert.equal(child.exitCode, null, 'the daemon has ended by itself');
      return this.#serves();
    });
  }

  /** Start to end of the verdicts: every path is known to be up, degraded or down. */
  async judged(): Promise<void> {
    const all = async () => (await this.status()).uplinks.flatMap((uplink) => uplink.paths);
    await eventually('every path has its verdict', async () => (await all()).every((path) => path.health !== 'unknown'));
  }

  get pid(): number {
    const pid = this.#daemon?.child.pid;
    assert.ok(pid !== undefined, 'the daemon was started');
    return pid;
  }

  /** Whether the very process that was started last still runs. */
  get alive(): boolean {
    const child = this.#daemon?.child;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  signal(name: NodeJS.Signals): void {
    process.kill(this.pid, name);
  }

  /** Ends the daemon with this signal; resolves with its exit code, null where the signal itself ended it. */
  async end(name: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    this.signal(name);
    await this.#daemon?.ended;
    return this.#daemon?.child.exitCode ?? null;
  }

  /** The words after `backroute`, with this gateway's places. */
  argv(...words: readonly string[]): string[] {
    const places = ['--config', this.configPath, '--state-dir', this.stateDir, '--run-dir', this.runDir];
    return [process.execPath, PROGRAM, ...words, ...places];
  }

  /** `backroute WORDS` in the gateway, to its end. */
  backroute(...words: readonly string[]): Promise<RunResult> {
    return this.lab.exec('gateway', this.argv(...words), { check: false, env: this.#environment() });
  }

  /** The same, which must succeed. @returns what it printed */
  async order(...words: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.backroute(...words);
    assert.equal(code, 0, `backroute ${words.join(' ')}: ${stderr}`);
    return stdout;
  }

  /** CPU time the daemon has used so far, user and system. */
  cpuMs(): number {
    const stat = readFileSync(`/proc/${this.pid}/stat`, 'latin1');
    // proc(5): the name in parentheses may hold anything; utime and stime are fields 14 and 15, in ticks of 10 ms.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return 10 * (Number(fields[11]) + Number(fields[12]));
  }

  log(): string {
    try {
      return readFileSync(this.#logPath, 'utf8');
    } catch {
      return '';
    }
  }

  /** From now on nft takes so long before it does what it should, for our program alone. @returns how to end that */
  slowNft(delayMs: number): () => void {
    const flag = join(this.dir, 'slow-nft');
    const script = `#!/bin/sh\nPATH=\${PATH#*:}\n[ -e ${flag} ] && sleep ${delayMs / 1000}\nexec nft "$@"\n`;
    mkdirSync(this.#binDir, { recursive: true });
    writeFileSync(join(this.#binDir, 'nft'), script, { mode: 0o755 });
    writeFileSync(flag, '');
    return () => rmSync(flag);
  }

  // ---- what the daemon says ------------------------------------------------------------------------------------------

  async status(): Promise<StatusView> {
    return (await this.#ask('/status')) as StatusView;
  }

  async path(uplink: string, family: Family = 4): Promise<PathView> {
    const found = (await this.status()).uplinks.find((one) => one.name === uplink)?.paths.find((one) => one.family === family);
    assert.ok(found !== undefined, `status shows ${uplink} in IPv${family}`);
    return found;
  }

  async family(family: Family = 4): Promise<FamilyView> {
    const found = (await this.status()).families.find((one) => one.family === family);
    assert.ok(found !== undefined, `status shows IPv${family}`);
    return found;
  }

  /** Everything since `sinceWallMs` (Unix time), oldest first. */
  async events(sinceWallMs = 0): Promise<readonly HistoryEntry[]> {
    const { events } = (await this.#ask(`/events?limit=1000&since=${Math.floor(sinceWallMs)}`)) as { events: HistoryEntry[] };
    return events;
  }

  async switches(sinceWallMs = 0): Promise<string[]> {
    const events = await this.events(sinceWallMs);
    return events.filter((one) => one.kind === 'switch').map((one) => `${one.from} -> ${one.to} (${one.reason})`);
  }

  /** Waits for the first event since then that is such. */
  event(what: string, isIt: (entry: HistoryEntry) => boolean, sinceWallMs = 0): Promise<HistoryEntry> {
    return eventually(what, async () => (await this.events(sinceWallMs)).find(isIt) ?? null);
  }

  // ---- what the kernel says ------------------------------------------------------------------------------------------

  /** `ip WORDS` in the gateway. */
  async ip(words: string): Promise<string> {
    return (await run(['ip', '-n', this.lab.ns('gateway'), ...words.split(' ')])).stdout;
  }

  /** Main's default routes, the ruling one first. */
  async defaults(family: Family = 4): Promise<readonly DefaultRoute[]> {
    const routes = JSON.parse(await this.ip(`-j -${family} route show default`)) as DefaultRoute[];
    return routes.toSorted((a, b) => (a.metric ?? 0) - (b.metric ?? 0));
  }

  /** Waits until the kernel sends what has no better route through this uplink, by a route of ours. */
  async goesBy(uplink: string, family: Family = 4): Promise<void> {
    const spec = this.lab.uplink(uplink);
    const gateway = family === 4 ? spec.gateway4 : spec.gateway6;
    await eventually(`IPv${family} goes by ${uplink}`, async () => {
      const [first] = await this.defaults(family);
      return first?.gateway === gateway && first.dev === spec.gatewayInterface && first.protocol === '110';
    });
  }

  /** Everything in the kernel that the program may ever touch, one line each. Running lifetimes are not compared. */
  async footprint(): Promise<string[]> {
    const script = [
      'for family in 4 6; do ip -$family route show table all; ip -$family rule show; done',
      'nft list ruleset',
      'grep -rs . /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf /proc/sys/net/ipv4/ping_group_range /proc/sys/net/ipv4/ip_forward | sort',
    ];
    const { stdout } = await this.lab.exec('gateway', ['sh', '-c', script.join('\n')]);
    return stdout.replaceAll(/ expires \d+sec/g, ' expires').split('\n');
  }

  /** For whoever reads of a failure. */
  async explanation(): Promise<string> {
    const parts = [`--- log\n${this.log()}`];
    for (const words of ['-4 route show table all', '-6 route show default', 'rule', '-br link']) {
      parts.push(`--- ip ${words}\n${await this.ip(words).catch(String)}`);
    }
    parts.push(`--- status\n${await this.status().then((view) => JSON.stringify(view, null, 1), String)}`);
    return parts.join('\n');
  }

  async #ask(path: string): Promise<unknown> {
    const { status, body } = await askDaemon(join(this.runDir, SOCKET_FILE), 'GET', path);
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  }

  async #serves(): Promise<boolean> {
    try {
      await this.#ask('/health');
      return true;
    } catch {
      return false;
    }
  }

  /** What runs the tests may itself be a service or have places of its own: the program here shall not speak in its name. */
  #environment(): NodeJS.ProcessEnv {
    const kept = Object.entries(toolEnvironment()).filter(
      ([name]) => !/^(NOTIFY_SOCKET|WATCHDOG_|BACKROUTE_|STATE_DIRECTORY|RUNTIME_DIRECTORY)/.test(name),
    );
    return { ...Object.fromEntries(kept), PATH: `${this.#binDir}:${toolEnvironment().PATH}` };
  }
}
