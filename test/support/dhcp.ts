/**
 * Real DHCP in a lab: dnsmasq in a router's namespace, dhclient or udhcpc in the gateway's, with the distribution's own scripts and
 * our hooks, short leases, and files of their own. Everything is ended by its pid, at the latest with the lab. Knows nothing of
 * who reads the leases.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawnSync } from 'node:child_process';
import { closeSync, copyFileSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Lab } from '../../src/lab/lab.js';
import { run, toolEnvironment } from '../../src/lab/run.js';
import { filesDir } from '../../src/lab/state.js';
import { etcDir } from '../../src/lab/teardown.js';
import { until } from '../../src/lab/until.js';

const HOOKS = fileURLToPath(new URL('../../../packaging/dhcp/', import.meta.url));
const PATIENCE_MS = 5000;

/** Why there can be no DHCP here, or false. */
export function missingForDhcp(...programs: readonly ('dnsmasq' | 'dhclient' | 'udhcpc')[]): string | false {
  const packages = { dnsmasq: 'dnsmasq-base', dhclient: 'isc-dhcp-client', udhcpc: 'udhcpc' };
  // Each prints something and ends, whatever its exit code.
  const ask = { dnsmasq: '--version', dhclient: '--version', udhcpc: '--help' };
  const isThere = (program: (typeof programs)[number]) =>
    spawnSync(program, [ask[program]], { env: toolEnvironment(), stdio: 'ignore' }).error === undefined;
  const missing = programs.filter((program) => !isThere(program));
  return missing.length > 0 && `needs ${missing.join(', ')} (apt-get install ${missing.map((one) => packages[one]).join(' ')})`;
}

function folderOf(lab: Lab): string {
  const folder = join(filesDir(lab.stateDir, lab.name), 'dhcp');
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** A program in a node, with its output in a file. */
class Program {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #logPath: string;

  constructor(lab: Lab, node: string, argv: readonly string[], logPath: string, env: NodeJS.ProcessEnv = {}) {
    this.#logPath = logPath;
    const log = openSync(logPath, 'a');
    this.#child = lab.spawn(node, argv, { stdio: ['ignore', log, log], env: { ...toolEnvironment(), ...env } });
    closeSync(log);
    this.#ended = new Promise((resolve) => {
      this.#child.once('exit', () => resolve());
      this.#child.once('error', () => resolve());
    });
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null && this.#child.pid !== undefined;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  async end(name: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.signal(name);
    const patience = setTimeout(() => this.#child.kill('SIGKILL'), 2000);
    await this.#ended;
    clearTimeout(patience);
  }

  log(): string {
    return readFileSync(this.#logPath, 'utf8');
  }

  /** Waits until the log says so, from the `from`th character on. */
  async says(what: RegExp, from = 0, withinMs = PATIENCE_MS): Promise<void> {
    const said = await until(() => what.test(this.log().slice(from)), withinMs);
    assert.ok(said, `not within ${withinMs} ms: ${what}\n${this.log()}`);
  }
}

export interface DhcpServerOptions {
  /** the interface towards the clients, and its address (without length) by which the server speaks */
  readonly interface: string;
  /** first and last address to lease */
  readonly range: readonly [string, string];
  /** the router it announces */
  readonly router: string;
}

/** dnsmasq that leases addresses and does nothing else. Its shortest lease is 2 minutes; clients may believe less. */
export class DhcpServer {
  readonly #lab: Lab;
  readonly #node: string;
  readonly #options: DhcpServerOptions;
  readonly #folder: string;
  #program: Program | null = null;

  private constructor(lab: Lab, node: string, options: DhcpServerOptions) {
    this.#lab = lab;
    this.#node = node;
    this.#options = options;
    this.#folder = join(folderOf(lab), `server-${node}`);
    mkdirSync(this.#folder, { recursive: true });
    this.#writeRouter(options.router);
  }

  static async start(lab: Lab, node: string, options: DhcpServerOptions): Promise<DhcpServer> {
    const server = new DhcpServer(lab, node, options);
    await server.serve();
    return server;
  }

  /** Serves again after {@link stop}, with the leases that it gave before. */
  async serve(): Promise<void> {
    const [first, last] = this.#options.range;
    const argv = [
      ...['dnsmasq', '-k', '-C', '/dev/null', '--user=root', '--group=root', '--port=0', '--bind-interfaces', '--no-ping'],
      ...['--log-dhcp', '--log-facility=-', '--dhcp-authoritative'],
      ...[`--interface=${this.#options.interface}`, '--except-interface=lo', `--dhcp-range=${first},${last},2m`],
      ...[`--dhcp-optsfile=${join(this.#folder, 'options')}`, `--dhcp-leasefile=${join(this.#folder, 'leases')}`],
      `--pid-file=${join(this.#folder, 'pid')}`,
    ];
    const logPath = join(this.#folder, 'log');
    rmSync(logPath, { force: true });
    this.#program = new Program(this.#lab, this.#node, argv, logPath);
    await this.#program.says(/started, version/);
    await this.#program.says(/read .*options/);
  }

  /** From the next lease or renewal on. Resolves when the server, if it serves, has taken it up. */
  async announce(router: string): Promise<void> {
    this.#writeRouter(router);
    if (!this.#program?.alive) return;
    const from = this.#program.log().length;
    this.#program.signal('SIGHUP');
    await this.#program.says(/read .*options/, from);
  }

  /** Answers nobody any more. */
  async stop(): Promise<void> {
    await this.#program?.end();
  }

  log(): string {
    return this.#program?.log() ?? '';
  }

  #writeRouter(router: string): void {
    writeFileSync(join(this.#folder, 'options'), `option:router,${router}\n`);
  }
}

export interface DhcpClientOptions {
  readonly interface: string;
  /** where our hook leaves its hints; null = the hook is not installed */
  readonly hintsDir: string | null;
}

export interface DhclientOptions extends DhcpClientOptions {
  /** what it believes of its lease, s; default 8, renewed from 3 on, rebound from 6 on */
  readonly leaseS?: number;
  readonly renewS?: number;
  readonly rebindS?: number;
}

/** ISC dhclient with Debian's dhclient-script, in a node of a lab. */
export class Dhclient {
  readonly #program: Program;
  /** the folder of its lease file */
  readonly leaseDir: string;

  private constructor(program: Program, leaseDir: string) {
    this.#program = program;
    this.leaseDir = leaseDir;
  }

  /** Resolves when it is bound. The lease file of an earlier one in this lab is taken up. */
  static async start(lab: Lab, node: string, options: DhclientOptions): Promise<Dhclient> {
    const client = Dhclient.launch(lab, node, options);
    await client.says(/bound to/);
    return client;
  }

  static launch(lab: Lab, node: string, options: DhclientOptions): Dhclient {
    const { leaseS = 8, renewS = 3, rebindS = 6 } = options;
    const folder = join(folderOf(lab), `client-${node}-${options.interface}`);
    const leaseDir = join(folder, 'leases');
    mkdirSync(leaseDir, { recursive: true });
    // dhclient-script writes resolv.conf: it shall find the node's own. And its hooks are those below /etc/dhcp.
    lab.etcFile(node, 'resolv.conf', '');
    const etc = join(etcDir(lab.ns(node)), 'dhcp');
    mkdirSync(join(etc, 'dhclient-exit-hooks.d'), { recursive: true });
    const hookPath = join(etc, 'dhclient-exit-hooks.d/backroute');
    rmSync(hookPath, { force: true });
    if (options.hintsDir !== null) copyFileSync(join(HOOKS, 'dhclient-exit-hook'), hookPath);
    const config = [
      'option rfc3442-classless-static-routes code 121 = array of unsigned integer 8;',
      'request subnet-mask, routers, rfc3442-classless-static-routes;',
      `supersede dhcp-lease-time ${leaseS};`,
      `supersede dhcp-renewal-time ${renewS};`,
      `supersede dhcp-rebinding-time ${rebindS};`,
      'initial-interval 1;',
      'retry 1;',
    ];
    writeFileSync(join(etc, 'dhclient.conf'), `${config.join('\n')}\n`);
    const argv = [
      ...['dhclient', '-4', '-d', '-v', '-cf', '/etc/dhcp/dhclient.conf', '-lf', join(leaseDir, 'dhclient.leases')],
      ...['-pf', join(folder, 'pid'), '-e', `BACKROUTE_HINT=${join(HOOKS, 'hint')}`],
      ...(options.hintsDir === null ? [] : ['-e', `BACKROUTE_HINTS=${options.hintsDir}`]),
      options.interface,
    ];
    const logPath = join(folder, 'log');
    rmSync(logPath, { force: true });
    return new Dhclient(new Program(lab, node, argv, logPath), leaseDir);
  }

  says(what: RegExp, from = 0, withinMs?: number): Promise<void> {
    return this.#program.says(what, from, withinMs);
  }

  log(): string {
    return this.#program.log();
  }

  /** Ends it as it stands: it gives nothing back. */
  async end(): Promise<void> {
    await this.#program.end('SIGKILL');
  }
}

/** udhcpc with Debian's script inside ours. */
export class Udhcpc {
  readonly #program: Program;

  private constructor(program: Program) {
    this.#program = program;
  }

  /** Resolves when it is bound, its script included. */
  static async start(lab: Lab, node: string, options: DhcpClientOptions): Promise<Udhcpc> {
    const folder = join(folderOf(lab), `udhcpc-${node}-${options.interface}`);
    mkdirSync(folder, { recursive: true });
    lab.etcFile(node, 'resolv.conf', '');
    const script = options.hintsDir === null ? '/etc/udhcpc/default.script' : join(HOOKS, 'udhcpc-script');
    const argv = ['udhcpc', '-f', '-i', options.interface, '-s', script, '-t', '20', '-T', '1', '-O', 'staticroutes'];
    const logPath = join(folder, 'log');
    rmSync(logPath, { force: true });
    const env = { BACKROUTE_HINT: join(HOOKS, 'hint'), BACKROUTE_HINTS: options.hintsDir ?? '/nowhere' };
    const client = new Udhcpc(new Program(lab, node, argv, logPath, env));
    await client.says(/lease of \S+ obtained/);
    return client;
  }

  says(what: RegExp, from = 0, withinMs?: number): Promise<void> {
    return this.#program.says(what, from, withinMs);
  }

  log(): string {
    return this.#program.log();
  }

  /** Renews at once: its own timer counts in minutes. Resolves when the server has confirmed. */
  async renew(): Promise<void> {
    const from = this.log().length;
    this.#program.signal('SIGUSR1');
    await this.says(/lease of \S+ obtained/, from);
  }

  /** Gives the lease back, and waits to be asked for another. */
  async release(): Promise<void> {
    const from = this.log().length;
    this.#program.signal('SIGUSR2');
    await this.says(/entering released state/, from);
  }

  async end(): Promise<void> {
    await this.#program.end('SIGKILL');
  }
}

/** Empties an interface of the gateway, so that DHCP alone gives it an address. */
export async function unconfigure(lab: Lab, node: string, device: string): Promise<void> {
  await run(['ip', '-n', lab.ns(node), '-4', 'addr', 'flush', 'dev', device]);
}
