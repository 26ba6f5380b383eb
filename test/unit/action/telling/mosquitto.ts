/** A real mosquitto with a configuration of its own, and a subscriber that keeps what it hears. Loopback only. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import mqtt from 'mqtt';
import { until } from '../outbox-bench.js';

const PROGRAM = '/usr/sbin/mosquitto';

/** For the `skip` option of a test. */
export const needsMosquitto: string | false = isInstalled() ? false : 'needs mosquitto (apt-get install mosquitto)';

function isInstalled(): boolean {
  try {
    accessSync(PROGRAM, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export class Mosquitto {
  readonly port: number;
  readonly folder: string;
  #child: ChildProcess | null = null;

  constructor(t: TestContext, port: number) {
    this.port = port;
    this.folder = mkdtempSync(join(tmpdir(), 'backroute-mosquitto-'));
    t.after(async () => {
      await this.stop();
      rmSync(this.folder, { recursive: true, force: true });
    });
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.port}`;
  }

  /** @param login null = everybody is let in */
  async start(login: { readonly user: string; readonly password: string } | null = null): Promise<void> {
    const lines = [`listener ${this.port} 127.0.0.1`, 'persistence false', 'user root', 'log_dest none'];
    if (login === null) lines.push('allow_anonymous true');
    else {
      const passwords = join(this.folder, 'passwords');
      execFileSync('mosquitto_passwd', ['-b', '-c', passwords, login.user, login.password], { stdio: 'ignore' });
      lines.push('allow_anonymous false', `password_file ${passwords}`);
    }
    const config = join(this.folder, 'mosquitto.conf');
    writeFileSync(config, `${lines.join('\n')}\n`);
    const child = spawn(PROGRAM, ['-c', config], { stdio: 'ignore' });
    this.#child = child;
    await until(async () => {
      assert.equal(child.exitCode, null, 'mosquitto has ended');
      return await answers(this.port);
    }, 'mosquitto listening');
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGCONT');
    child.kill(signal);
    await ended;
  }

  /** It keeps its connections and says nothing more. */
  freeze(): void {
    this.#child?.kill('SIGSTOP');
  }
}

async function answers(port: number): Promise<boolean> {
  const socket = connectTcp(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

export interface Heard {
  readonly topic: string;
  readonly payload: string;
  readonly retained: boolean;
}

/** Everything from now on, and at first what is retained. */
export class Listener {
  readonly heard: Heard[] = [];

  static async open(t: TestContext, url: string, login: { username?: string; password?: string } = {}): Promise<Listener> {
    const client = await mqtt.connectAsync(url, { reconnectPeriod: 0, ...login });
    t.after(() => void client.end(true));
    client.on('error', () => undefined);
    const listener = new Listener();
    client.on('message', (topic, payload, packet) => {
      listener.heard.push({ topic, payload: payload.toString(), retained: packet.retain });
    });
    await client.subscribeAsync('#', { qos: 1 });
    return listener;
  }

  /** The latest payload of a topic. */
  last(topic: string): string | undefined {
    return this.heard.findLast((one) => one.topic === topic)?.payload;
  }

  json(topic: string): Record<string, unknown> {
    return JSON.parse(this.last(topic) ?? 'null') as Record<string, unknown>;
  }
}
