/**
 * The prober as a whole: whatever its sockets do, ask() never throws and never tells before it has returned.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { TargetQuestion } from '../../../src/core/config.js';
import type { ProbeSockets } from '../../../src/probe/sockets.js';
import { ProbeBench, probePath } from '../../support/probe-bench.js';

const QUESTIONS: readonly TargetQuestion[] = [
  { kind: 'icmp' },
  { kind: 'tcp', port: 80 },
  { kind: 'http', url: 'http://example.org/', port: 80, statuses: [], bodyContains: null },
  { kind: 'http', url: 'https://example.org/', port: 443, statuses: [], bodyContains: null },
  { kind: 'dns', name: 'example.org', type: 'A', port: 53 },
];

function failing(code: string): ProbeSockets {
  return {
    open: () => {
      throw Object.assign(new Error(`socket: ${code}`), { code });
    },
    drainErrors: () => [],
    close: () => {},
  };
}

describe('prober', () => {
  for (const [code, device, expected] of [
    ['EPERM', null, /^local-fault: marked \w+ socket refused \(EPERM\): the process needs CAP_NET_ADMIN$/],
    ['EPERM', 'eth0', /^local-fault: marked \w+ socket refused \(EPERM\): the process needs CAP_NET_ADMIN and CAP_NET_RAW$/],
    ['EACCES', null, /^local-fault: .*(ping_group_range|CAP_NET_ADMIN)/],
    ['ENODEV', 'eth7', /^no-route: interface eth7 does not exist$/],
    ['EAFNOSUPPORT', null, /^no-route: this machine does not speak that IP version$/],
    ['EMFILE', null, /^local-fault: no \w+ socket: EMFILE$/],
  ] as const) {
    test(`no socket: ${code}${device === null ? '' : ` on ${device}`}`, async () => {
      const bench = new ProbeBench({}, failing(code));
      for (const question of QUESTIONS) {
        assert.match(await bench.told(bench.ask(question, '127.0.0.1', probePath({ device }))), expected, question.kind);
      }
      bench.prober.close();
    });
  }

  test('a descriptor that is no socket is closed by us and told', async () => {
    const closed: number[] = [];
    const file = openSync('/dev/null', 'r');
    // Node refuses it, so it stays ours.
    const sockets: ProbeSockets = { open: () => file, drainErrors: () => [], close: (fd) => closed.push(fd) };
    const bench = new ProbeBench({}, sockets);
    const icmp = await bench.first(bench.ask({ kind: 'icmp' }, '127.0.0.1'));
    assert.ok(icmp.kind === 'failed' && icmp.reason === 'local-fault');
    assert.deepEqual(closed, [file]);
    closeSync(file);
    bench.prober.close();
  });

  test('forgotten before the turn is over: not a word', async () => {
    const bench = new ProbeBench({}, failing('EMFILE'));
    const forgotten = bench.ask({ kind: 'icmp' }, '127.0.0.1');
    bench.prober.forget('fast/4');
    const told = bench.ask({ kind: 'icmp' }, '127.0.0.1', probePath({ key: 'backup/4' }));
    assert.match(await bench.told(told), /^local-fault/);
    assert.deepEqual(bench.of(forgotten), []);
    bench.prober.close();
  });

  test('after close() nothing holds the process, with probes of every kind under way', async () => {
    const script = `
      const { createProber } = await import(${JSON.stringify(new URL('../../../src/probe/prober.js', import.meta.url).href)});
      const { kernelSockets } = await import(${JSON.stringify(new URL('../../../src/kernel/sockets.js', import.meta.url).href)});
      const { createServer } = await import('node:net');
      const silent = createServer((socket) => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1', () => {
        const { port } = silent.address();
        const prober = createProber(kernelSockets, () => {});
        const path = { key: 'fast/4', family: 4, mark: 0, device: null, interface: 'lo' };
        const questions = ${JSON.stringify(QUESTIONS)};
        questions.forEach((question, id) => {
          const asked = 'port' in question ? { ...question, port } : question;
          prober.ask({ id, path, question: asked, address: '127.0.0.1', giveUpMs: 60000 });
        });
        silent.once('connection', () => setImmediate(() => {
          prober.close();
          silent.close();
        }));
      });`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' });
    const deadline = setTimeout(() => child.kill('SIGKILL'), 10_000);
    const [code] = await once(child, 'exit');
    clearTimeout(deadline);
    assert.equal(code, 0, 'the process ended by itself');
  });
});
