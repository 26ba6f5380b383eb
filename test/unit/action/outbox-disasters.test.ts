/** kill -9, a full file system, lost answers: what the outbox promises when everything else fails. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { listOutbox } from '../../../src/action/outbox.js';
import { Telling } from '../../../src/action/telling/telling.js';
import { realClock } from '../../../src/daemon/clock.js';
import { needsRoot } from '../../support/own-network.js';
import { Random, seedFromEnvironment } from '../../support/random.js';
import { mailChannel, notice, OutboxBench, until } from './outbox-bench.js';
import { header, mailConfig, mailServer, obliging, rawServer, smtpError, smtpOptions } from './telling/smtp-bench.js';

const beside = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'backroute-outbox-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const idOf = (raw: string): string => /^<(.*)@/.exec(header(raw, 'Message-ID') ?? '')?.[1] ?? '';

test('killed again and again in the middle of it: nothing that was on disk is lost, and the order holds', async (t) => {
  const seed = seedFromEnvironment();
  const random = new Random(seed);
  const directory = join(folder(t), 'outbox');
  const server = await mailServer(t);
  const ids = (): string[] => server.received.map(({ raw }) => idOf(raw));
  const lives = 6;
  const mayRepeat = new Set<string>();
  for (let life = 0; life < lives; life += 1) {
    const last = life === lives - 1;
    const before = server.received.length;
    const args = [beside('outbox-crash-child.js'), directory, String(server.port), String(life), last ? '0' : '20'];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    const ended = once(child, 'exit');
    if (!last) {
      // By turns in the middle of putting and in the middle of delivering.
      const some = 1 + Math.floor(random.between(0, 9));
      const left = filesIn(directory);
      const enough = (): boolean =>
        life % 2 === 0 ? filesIn(directory) >= left + some : server.received.length >= before + some;
      await until(() => enough() || child.exitCode !== null, 'something done');
      child.kill('SIGKILL');
    }
    await ended;
    // Its connection may still bring what was on the way.
    const kept = (await listOutbox(directory)).entries.map(({ id }) => id);
    await until(async () => (await connections(server.port)) === 0, 'the server at rest');
    const problems = (await listOutbox(directory)).problems;
    assert.deepEqual(problems, [], `seed ${seed}: a damaged file`);
    if (last) assert.deepEqual(kept, [], 'everything delivered');
    // Taken by the server, but killed before the answer was acted on.
    else for (const id of kept) if (ids().includes(id)) mayRepeat.add(id);
  }
  const seen = ids();
  const first = seen.filter((id, index) => seen.indexOf(id) === index);
  for (let life = 0; life < lives - 1; life += 1) {
    const mine = first.filter((id) => id.startsWith(`${life}.`));
    assert.deepEqual(
      mine,
      mine.map((_, index) => `${life}.${index}`),
      `seed ${seed}: a gap or a wrong order`,
    );
  }
  const repeated = seen.filter((id, index) => seen.indexOf(id) !== index);
  assert.ok(repeated.length <= lives, `seed ${seed}: at most one for each kill`);
  for (const id of repeated) assert.ok(mayRepeat.has(id), `seed ${seed}: ${id} was delivered twice without need`);
});

/** Established TCP connections to this port of ours, as the kernel sees them. */
async function connections(port: number): Promise<number> {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n');
  return lines.filter((line) => line.includes(`0100007F:${hex} `) && / 01 /.test(line.slice(20, 45))).length;
}

test('a full file system: held in memory, told, delivered all the same, and written once there is space', {
  skip: needsRoot,
}, (t) => {
  const place = folder(t);
  const script = 'mount -t tmpfs -o size=512k,mode=755 outbox-test "$1" && exec "$2" "$3" "$1"';
  const argv = ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', place, process.execPath];
  const output = execFileSync('unshare', [...argv, beside('outbox-full-disk-child.js')], { encoding: 'utf8' });
  const seen = JSON.parse(output) as {
    whileFull: { told: string[]; problem: string; states: string[]; leftovers: string[] };
    delivered: string[];
    bounded: { held: number; last: string };
    afterwards: { told: string[]; files: number; problems: string[] };
  };
  assert.equal(seen.whileFull.told.length, 1, 'told once');
  assert.match(seen.whileFull.problem, /^messages cannot be kept on disk: ENOSPC/);
  assert.deepEqual(seen.whileFull.states, ['waiting', 'memory', 'memory', 'memory']);
  assert.deepEqual(seen.whileFull.leftovers, []);
  assert.deepEqual(seen.delivered, ['on disk', 'held 0', 'held 1', 'held 2']);
  assert.deepEqual(seen.bounded, { held: 100, last: 'many 119' });
  assert.deepEqual(seen.afterwards, {
    told: ['messages cannot be kept on disk: ENOSPC: no space left on device, write', 'messages are kept on disk again'],
    files: 100,
    problems: [],
  });
  assert.deepEqual(readdirSync(place), [], 'nothing of it outside');
});

function filesIn(directory: string): number {
  return existsSync(directory) ? readdirSync(directory).filter((name) => name.endsWith('.json')).length : 0;
}

interface Line {
  readonly bench: OutboxBench;
  readonly outbox: ReturnType<OutboxBench['start']>;
}

/** An outbox that really sends mail to this port. */
function mailing(t: TestContext, port: number, smtp: Parameters<typeof mailConfig>[1] = {}): Line {
  const telling = new Telling({ host: 'gw', version: '1', clock: realClock, random: Math.random, ...caOf() });
  const bench = new OutboxBench(t);
  bench.channels = [{ ...mailChannel('admin'), transport: mailConfig(port, smtp) }];
  return { bench, outbox: bench.start({ deliver: telling.deliver, clock: realClock }) };
}

function caOf(): { ca?: readonly string[] } {
  return smtpOptions.ca === undefined ? {} : { ca: smtpOptions.ca };
}

test('4xx, then an answer: delivered once, by the timer', async (t) => {
  let calls = 0;
  const server = await mailServer(t, {}, () => {
    calls += 1;
    if (calls === 1) throw smtpError(451, 'greylisted');
  });
  const { bench, outbox } = mailing(t, server.port);
  outbox.put('admin', notice('a'));
  await until(() => bench.told('delivered').length === 1, 'the delivery by the timer');
  assert.equal(server.received.length, 1);
  assert.match(bench.told('failing')[0] ?? '', /451 greylisted/);
  assert.equal(bench.told('recovered').length, 1);
});

test('an answer that is lost after the mail is the one case of a duplicate, and it has the same Message-ID', async (t) => {
  const mails: string[] = [];
  let text = '';
  let reading = false;
  const server = await rawServer(t, (line, connection) => {
    if (line === '(connected)') reading = false;
    if (line === '.') {
      reading = false;
      mails.push(text);
      return connection === 2 ? 'cut' : '250 taken';
    }
    if (reading) {
      text += `${line}\r\n`;
      // The first connection breaks in the middle of the mail: the server has nothing.
      return connection === 1 && line.startsWith('Subject') ? 'cut' : null;
    }
    if (line === 'DATA') {
      reading = true;
      text = '';
    }
    return obliging(line);
  });
  const { bench, outbox } = mailing(t, server.port);
  outbox.put('admin', notice('a'));
  outbox.put('admin', notice('b'));
  await until(() => outbox.list()[0]?.attempts === 1 && outbox.problems().length === 1, 'the first failure');
  outbox.kick();
  await until(() => outbox.list()[0]?.attempts === 2, 'the second attempt');
  await until(() => bench.told('delivered').length === 2, 'both delivered');
  assert.deepEqual(mails.map(idOf), ['a', 'a', 'b']);
});

test('secrets are in no file, no list, no report and no problem', async (t) => {
  const password = 'sesame-4711';
  const server = await mailServer(t, {
    authOptional: false,
    onAuth: (auth, _session, callback) => callback(smtpError(535, `never with ${auth.password}`)),
  });
  const place = folder(t);
  const path = join(place, 'password');
  writeFileSync(path, password);
  const { bench, outbox } = mailing(t, server.port, { tls: 'starttls', login: { user: 'gw', password: { kind: 'file', path } } });
  outbox.put('admin', notice('a'));
  await until(() => outbox.problems().length === 1, 'the refusal');
  assert.match(outbox.problems()[0] ?? '', /the login was refused: .*535 never with \*\*\*/);
  await outbox.close();
  const files = existsSync(bench.directory)
    ? readdirSync(bench.directory).map((name) => readFileSync(join(bench.directory, name), 'utf8'))
    : [];
  assert.equal(files.length, 1);
  const everything = JSON.stringify([files, outbox.list(), outbox.problems(), bench.reports, await listOutbox(bench.directory)]);
  assert.ok(!everything.includes(password) && !everything.includes(Buffer.from(password).toString('base64')));
});
