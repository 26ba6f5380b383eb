/** What `ping -D` prints: lost is the number that never came, however the output looks around it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../../../bench/judge/synthetic.js';
import { looksLikePing, PingReader } from '../../../src/simulate/read/ping.js';
import { SourceError } from '../../../src/simulate/read/problem.js';
import { seedFromEnvironment } from '../../support/random.js';

const T0 = 1_700_000_000;
const HEADER = 'PING 1.1.1.1 (1.1.1.1) 56(84) bytes of data.';
/** as iputils prints it: the stamp is that of the answer */
const reply = (sequence: number, sentS: number, rttMs = 20): string =>
  `[${(T0 + sentS + rttMs / 1000).toFixed(6)}] 64 bytes from 1.1.1.1: icmp_seq=${sequence % 65_536} ttl=57 time=${rttMs} ms`;

function read(lines: readonly string[]): { outages: number[][]; reader: PingReader; origin: number | null; unwatchedMs: number } {
  const reader = new PingReader('p');
  lines.forEach((line, i) => {
    const bytes = Buffer.from(line);
    if (bytes.length > 0) reader.line(bytes, 0, bytes.length, i + 1);
  });
  const link = reader.link(null);
  const from = link.originWallMs === null ? 0 : link.originWallMs / 1000 - T0;
  const outages = link.silences.map(({ fromMs, toMs }) => [fromMs, toMs].map((ms) => Math.round((from + ms / 1000) * 100) / 100));
  return { outages, reader, origin: link.originWallMs, unwatchedMs: link.unwatchedMs };
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

test('lost numbers are an outage, from the first that was lost to the next that came', () => {
  const lines = [
    HEADER,
    ...range(1, 100)
      .filter((i) => i < 40 || i >= 45)
      .map((i) => reply(i, i)),
  ];
  const { outages, origin } = read(lines);
  assert.deepEqual(outages, [[40, 45]]);
  assert.equal(origin === null ? 0 : Math.round(origin), (T0 + 1) * 1000);
});

test('lines that tell what is lost, duplicates and errors change nothing', () => {
  const lines = [
    HEADER,
    ...range(1, 10).map((i) => reply(i, i)),
    `${reply(9, 9, 25)} (DUP!)`,
    `[${T0 + 11}.000000] no answer yet for icmp_seq=10`,
    `[${T0 + 12}.000000] From 192.168.1.1 icmp_seq=11 Destination Host Unreachable`,
    'From 192.168.1.1 icmp_seq=11 Destination Host Unreachable',
    `[${T0 + 12}.100000] From 192.168.1.1 icmp_seq=11 Time to live exceeded`,
    ...range(13, 20).map((i) => reply(i, i)),
    '',
    '--- 1.1.1.1 ping statistics ---',
    '19 packets transmitted, 16 received, +1 duplicates, +3 errors, 15.7895% packet loss, time 18030ms',
    'rtt min/avg/max/mdev = 20.000/20.000/20.000/0.000 ms',
  ];
  assert.deepEqual(read(lines).outages, [[10, 13]]);
  assert.deepEqual(read(lines).reader.notes, []);
});

test('IPv6, other languages, other intervals', () => {
  const lines = range(1, 50)
    .filter((i) => i < 20 || i >= 30)
    .map((i) => `[${(T0 + i / 5 + 0.0071).toFixed(6)}] 64 Bytes von fe80::1%eth0: icmp_seq=${i} ttl=64 Zeit=7.1 ms`);
  assert.deepEqual(read(lines).outages, [[4, 6]]);
});

test('an answer that is late counts as lost; answers that overtake each other do not', () => {
  const late = [reply(1, 1), reply(2, 2), reply(6, 6), reply(3, 3, 3_500), reply(4, 4, 2_600), reply(5, 5, 1_700), reply(7, 7)];
  assert.deepEqual(read(late).outages, [[3, 6]]);
  const overtaken = [reply(1, 0.1), reply(3, 0.3, 100), reply(2, 0.2, 250), reply(4, 0.5)];
  assert.deepEqual(read(overtaken).outages, []);
});

test('numbers wrap at 65536, also within an outage and after several rounds', () => {
  const seed = seedFromEnvironment();
  const random = seeded(seed);
  const sequences: number[] = [];
  const expected: number[][] = [];
  for (let at = 1; at < 800_000; ) {
    const good = 20 + Math.floor(random() * 60_000);
    sequences.push(...range(at, at + good));
    const lost = 1 + Math.floor(random() * (random() < 0.3 ? 200_000 : 100));
    expected.push([at + good, at + good + lost]);
    at += good + lost;
  }
  sequences.push((expected.at(-1)?.[1] ?? 0) + 0);
  assert.deepEqual(read([HEADER, ...sequences.map((i) => reply(i, i))]).outages, expected, `seed ${seed}`);
});

test('behind the header ping counts from 1; the statistics tell what never came', () => {
  const lines = [
    HEADER,
    ...range(4, 20).map((i) => reply(i, i)),
    '--- 1.1.1.1 ping statistics ---',
    '31 packets transmitted, 16 received',
  ];
  assert.deepEqual(read(lines).outages, [
    [1, 4],
    [20, 30],
  ]);
});

test('where the machine slept, and between two pings in one file, nobody watched', () => {
  const slept = read([HEADER, ...range(1, 10).map((i) => reply(i, i)), ...range(12, 20).map((i) => reply(i, i + 5_000))]);
  assert.deepEqual(slept.outages, [[10, 11]]);
  assert.equal(Math.round(slept.unwatchedMs / 1000), 5_001);
  const twice = read([
    HEADER,
    ...range(1, 10).map((i) => reply(i, i)),
    '--- 1.1.1.1 ping statistics ---',
    '9 packets transmitted, 9 received',
    HEADER,
    ...range(1, 10).map((i) => reply(i, 40 + i)),
  ]);
  assert.deepEqual(twice.outages, []);
  assert.equal(Math.round(twice.unwatchedMs / 1000), 32);
});

test('a line that never answered is silent from beginning to end', () => {
  const none = (sequence: number, atS: number): string => `[${(T0 + atS).toFixed(6)}] no answer yet for icmp_seq=${sequence}`;
  const quick = [HEADER, ...range(1, 51).map((i) => none(i, i / 5 + 0.2))];
  // The word comes with the next question.
  assert.deepEqual(read(quick).outages, [[0.4, 10.2]]);
  const told = read([...quick, '', '--- 1.1.1.1 ping statistics ---', '101 packets transmitted, 0 received, 100% packet loss']);
  assert.deepEqual(told.outages, [[0.4, 20.2]]);
  const refused = range(1, 60).map(
    (i) => `[${T0 + 3 * i}.000000] From 192.168.1.1 icmp_seq=${i * 3} Destination Host Unreachable`,
  );
  assert.deepEqual(read([HEADER, ...refused]).outages, [[1, 177]]);
  // Another run, in which it answers.
  const later = read([...quick, HEADER, ...range(1, 10).map((i) => reply(i, 100 + i))]);
  assert.deepEqual(later.outages, [[0.4, 10.2]]);
  assert.equal(Math.round(later.unwatchedMs / 1000), 91);
  const dead = read([HEADER, ...range(1, 10).map((i) => reply(i, i)), HEADER, ...range(1, 10).map((i) => none(i, 100 + i))]);
  assert.deepEqual(dead.outages, [[101, 109]]);
  assert.equal(Math.round(dead.unwatchedMs / 1000), 92);
});

test('what is not read is told', () => {
  const complaint = (lines: readonly string[]): string => {
    try {
      read(lines);
    } catch (error) {
      if (error instanceof SourceError) return error.message;
      throw error;
    }
    return 'none';
  };
  assert.match(complaint([HEADER, '64 bytes from 1.1.1.1: icmp_seq=1 ttl=57 time=9 ms']), /^p:2: no time stamp in '64 bytes/);
  assert.match(complaint([HEADER]), /^p: neither replies nor missing ones with a time stamp$/);
  assert.match(complaint([HEADER, reply(1, 50), reply(2, 20)]), /^p:3: time runs backwards by 30 s$/);
  assert.match(complaint([HEADER, reply(1, 50, -3)]), /^p:2: a negative round trip, -3 ms$/);
  const { reader } = read([HEADER, reply(1, 1), 'ping: sendmsg: Network is unreachable', reply(2, 2)]);
  assert.match(reader.notes.join(), /^p: 1 line\(s\) are not ping's and were left out, the first is line 3$/);
  assert.ok(looksLikePing(reply(1, 1)) && looksLikePing(`$ ping -D\n${HEADER}\n${reply(1, 1)}`));
  assert.ok(!looksLikePing('t_ms,rtt_ms\n0,1\n'));
});
