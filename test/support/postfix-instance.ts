/**
 * A Postfix of the test's own: configuration, queue and data in its folder, no network service, no chroot, its log in a file. Sends
 * what is handed in through its relayhost. Root; call in a network of the test's own.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { searchPath } from '../../src/action/command.js';

const env = { ...process.env, PATH: searchPath() };

/** For the `skip` option of a test. */
export const needsPostfix: string | false =
  spawnSync('postconf', ['-d', 'mail_version'], { env }).status === 0 ? false : 'needs Postfix (apt-get install postfix)';

export class PostfixInstance {
  readonly folder = mkdtempSync(join(tmpdir(), 'backroute-postfix-'));
  /** its configuration directory */
  readonly config = join(this.folder, 'config');
  readonly #onExit = (): void => this.remove();

  /** @param settings main.cf, `name=value` each */
  constructor(settings: readonly string[] = []) {
    process.once('exit', this.#onExit);
    // The mail system's own user goes through here.
    chmodSync(this.folder, 0o755);
    for (const name of ['config', 'queue', 'data']) mkdirSync(join(this.folder, name));
    execFileSync('chown', ['postfix', join(this.folder, 'data')]);
    cpSync('/etc/postfix/master.cf', join(this.config, 'master.cf'));
    for (const name of ['main.cf', 'dynamicmaps.cf']) writeFileSync(join(this.config, name), '');
    this.postconf('-F', '*/*/chroot=n');
    this.postconf('-MX', 'smtp/inet');
    this.postconf(
      '-e',
      'compatibility_level=3.6',
      `queue_directory=${join(this.folder, 'queue')}`,
      `data_directory=${join(this.folder, 'data')}`,
      `maillog_file_prefixes=${this.folder}`,
      `maillog_file=${this.log}`,
      'myhostname=gateway.test',
      'mydestination=',
      'inet_protocols=ipv4',
      'inet_interfaces=loopback-only',
      'smtp_dns_support_level=disabled',
      'smtp_host_lookup=native',
      'alias_maps=',
      'alias_database=',
      ...settings,
    );
  }

  get log(): string {
    return join(this.folder, 'maillog');
  }

  logText(): string {
    return existsSync(this.log) ? readFileSync(this.log, 'utf8') : '';
  }

  /** Throws with its complaint. */
  run(tool: string, ...words: string[]): string {
    return execFileSync(tool, ['-c', this.config, ...words], { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }

  postconf(...words: string[]): string {
    const output = this.run('postconf', ...words);
    // Postfix does not read a file for two seconds after it was written.
    const seconds = Date.now() / 1000 - 5;
    for (const name of ['main.cf', 'master.cf']) utimesSync(join(this.config, name), seconds, seconds);
    return output;
  }

  /** A parameter as it stands in main.cf; null = not set there. */
  setting(name: string): string | null {
    return new RegExp(`^${name} =(.*)$`, 'm').exec(this.run('postconf', '-n', name))?.[1]?.trim() ?? null;
  }

  /** @param namespace the network it is to serve; null = ours */
  start(namespace: string | null = null): void {
    const argv = [...(namespace === null ? [] : ['ip', 'netns', 'exec', namespace]), 'postfix', '-c', this.config, 'start'];
    execFileSync(argv[0] ?? '', argv.slice(1), { env, stdio: ['ignore', 'pipe', 'pipe'] });
  }

  stop(): void {
    spawnSync('postfix', ['-c', this.config, 'stop'], { env, stdio: 'ignore' });
  }

  isRunning(): boolean {
    return spawnSync('postfix', ['-c', this.config, 'status'], { env, stdio: 'ignore' }).status === 0;
  }

  /** Hands a mail in, as a local program does. */
  send(subject: string): void {
    const input = `From: client@office.test\nTo: someone@far.test\nSubject: ${subject}\n\nhello\n`;
    const argv = ['-C', this.config, '-f', 'client@office.test', 'someone@far.test'];
    execFileSync('sendmail', argv, { env, input, stdio: ['pipe', 'pipe', 'pipe'] });
  }

  /** Of each mail in the queue: where it stands, e.g. `deferred`. */
  queue(): string[] {
    const lines = this.run('postqueue', '-j').split('\n');
    return lines.flatMap((line) => (line === '' ? [] : [(JSON.parse(line) as { queue_name: string }).queue_name]));
  }

  /** Stops it and removes everything. */
  remove(): void {
    process.off('exit', this.#onExit);
    if (existsSync(join(this.folder, 'queue/pid/master.pid'))) this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
