/** What happens to the routes of a node, with the kernel's own order and the time each was seen: `ip -ts monitor`. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import type { Lab } from '../../src/lab/lab.js';
import { run } from '../../src/lab/run.js';
import { until } from '../../src/lab/until.js';

export interface RouteEvent {
  readonly wallMs: number;
  /** e.g. `Deleted default via 10.1.0.1 dev wan1` */
  readonly text: string;
}

export class RouteMonitor {
  readonly #lab: Lab;
  readonly #node: string;
  readonly #child: ChildProcess;
  #output = '';
  #fences = 0;

  private constructor(lab: Lab, node: string) {
    this.#lab = lab;
    this.#node = node;
    this.#child = lab.spawn(node, ['stdbuf', '-oL', 'ip', '-ts', '-4', 'monitor', 'route', 'address'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    this.#child.stdout?.on('data', (chunk) => {
      this.#output += String(chunk);
    });
  }

  static async start(lab: Lab, node: string): Promise<RouteMonitor> {
    const monitor = new RouteMonitor(lab, node);
    await monitor.events();
    return monitor;
  }

  /** Everything up to now. */
  async events(): Promise<readonly RouteEvent[]> {
    const fence = `192.0.2.${++this.#fences}`;
    const at = () => this.#output.indexOf(`${fence} `);
    // The monitor may not listen yet: a fence a try.
    const seen = await until(async () => {
      if (at() >= 0) return true;
      await run(['ip', '-n', this.#lab.ns(this.#node), 'route', 'replace', 'blackhole', fence]);
      await run(['ip', '-n', this.#lab.ns(this.#node), 'route', 'del', 'blackhole', fence]);
      return false;
    }, 5000);
    assert.ok(seen, 'the monitor hears');
    const lines = this.#output.split('\n').filter((line) => !line.includes('192.0.2.'));
    return lines.flatMap((line) => {
      const match = /^\[(\S+)\] (.*?)\s*$/.exec(line);
      return match === null ? [] : [{ wallMs: Date.parse(`${match[1]}Z`), text: match[2] ?? '' }];
    });
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }
}
