/**
 * A real dnsmasq asks the servers of the active uplink. Own instance, own network, two servers that answer differently.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { searchPath } from '../../src/action/command.js';
import { followerProblems } from '../../src/action/following/problems.js';
import type { ResolverConfig } from '../../src/core/services.js';
import { until } from '../../src/lab/until.js';
import { FollowBench, followInAgent } from '../support/follow-bench.js';
import { enterOwnNetwork, needsRoot } from '../support/own-network.js';

const env = { ...process.env, PATH: searchPath() };
const needsDnsmasq =
  spawnSync('dnsmasq', ['--version'], { env }).status === 0 ? false : 'needs dnsmasq (apt-get install dnsmasq-base)';
const PORT = 5353;
const HEADER_BYTES = 12;

/** Answers every question for an address with its own. */
async function nameServer(address: string): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.on('message', (question, from) => {
    const reply = Buffer.from(question);
    reply.writeUInt16BE(0x8180, 2);
    reply.writeUInt16BE(1, 6);
    reply.writeUInt16BE(0, 10);
    const end = question.indexOf(0, HEADER_BYTES) + 5;
    const record = Buffer.from([0xc0, HEADER_BYTES, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split('.').map(Number)]);
    socket.send(Buffer.concat([reply.subarray(0, end), record]), from.port, from.address);
  });
  socket.bind(53, address);
  await once(socket, 'listening');
  return socket;
}

describe('dnsmasq follows', { skip: needsRoot || needsDnsmasq, timeout: 60_000 }, () => {
  let folder: string;
  let dnsmasq: ChildProcess;
  let bench: FollowBench;
  const servers: Socket[] = [];
  const path = (name: string): string => join(folder, name);
  const follower = (change: Partial<ResolverConfig> = {}): ResolverConfig => ({
    kind: 'resolver',
    name: 'resolver',
    how: 'dnsmasq',
    path: path('servers'),
    pidFile: path('pid'),
    servers: { fast: ['127.0.0.2'], backup: ['127.0.0.3'] },
    timeoutMs: 10_000,
    ...change,
  });
  const answered = async (): Promise<string | undefined> => {
    const resolver = new Resolver({ timeout: 500, tries: 4 });
    resolver.setServers([`127.0.0.1:${PORT}`]);
    return (await resolver.resolve4('someone.test').catch(() => []))[0];
  };

  before(async () => {
    enterOwnNetwork();
    folder = mkdtempSync(join(tmpdir(), 'backroute-dnsmasq-'));
    // dnsmasq reads its servers as a user of its own.
    chmodSync(folder, 0o755);
    mkdirSync(path('state'));
    bench = new FollowBench({ stateDirectory: path('state') });
    for (const address of ['127.0.0.2', '127.0.0.3']) servers.push(await nameServer(address));
    writeFileSync(path('servers'), '');
    const words = [
      '-k',
      '-C',
      '/dev/null',
      '--no-resolv',
      '--no-hosts',
      '--cache-size=0',
      '--bind-interfaces',
      '--listen-address=127.0.0.1',
    ];
    const argv = [...words, `--port=${PORT}`, `--pid-file=${path('pid')}`, `--servers-file=${path('servers')}`];
    dnsmasq = spawn('dnsmasq', argv, { env, stdio: 'ignore' });
    assert.ok(
      await until(() => existsSync(path('pid')) && readFileSync(path('pid'), 'utf8').trim() !== '', 5_000),
      'dnsmasq runs',
    );
  });
  after(async () => {
    dnsmasq?.kill('SIGKILL');
    for (const server of servers) server.close();
    await bench?.runner.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  test('it asks the servers of the uplink wanted, and those of the other after a switch', async () => {
    assert.equal(await answered(), undefined);
    assert.equal((await bench.ask(follower(), 'fast')).text, 'dnsmasq asks 127.0.0.2');
    assert.ok(await until(async () => (await answered()) === '127.0.0.2', 5_000));
    assert.equal((await bench.ask(follower(), 'backup')).changed, true);
    assert.ok(await until(async () => (await answered()) === '127.0.0.3', 5_000));
    assert.equal((await bench.ask(follower(), 'backup')).changed, false);
    assert.deepEqual(await followerProblems(follower()), []);
  });

  for (const step of ['journal', 'change', 'reload', 'verify']) {
    test(`killed at "${step}": the next wish holds`, async () => {
      await bench.ask(follower(), 'backup');
      const killAt = step === 'change' ? `change ${path('servers')}` : step;
      const ask = { run: 1, follower: follower(), uplink: 'fast' };
      const killed = await followInAgent({ stateDirectory: path('state'), ask, killAt });
      assert.equal(killed.signal, 'SIGKILL');
      assert.equal((await bench.ask(follower(), 'fast')).ok, true);
      assert.ok(await until(async () => (await answered()) === '127.0.0.2', 5_000));
      assert.deepEqual(readdirSync(path('state/following')), []);
    });
  }

  test('a number that is not of a dnsmasq is never signalled', async () => {
    const bystander = spawn('sleep', ['60'], { stdio: 'ignore' });
    try {
      writeFileSync(path('stale'), `${bystander.pid}\n`);
      const outcome = await bench.ask(follower({ pidFile: path('stale'), path: path('other') }), 'fast');
      assert.deepEqual([outcome.ok, outcome.changed], [true, true]);
      assert.match(outcome.text, /dnsmasq does not run, and takes it up at its start/);
      assert.deepEqual([bystander.exitCode, bystander.signalCode], [null, null]);
      assert.match(
        (await followerProblems(follower({ pidFile: path('stale') })))[0] ?? '',
        /stale names no running dnsmasq: start it/,
      );
    } finally {
      bystander.kill('SIGKILL');
      await once(bystander, 'exit');
    }
  });
});
