/** Silence and its end, as one detector sees them: deadlines, bursts, quorum, late answers, stalls. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random, seedFromEnvironment } from '../../../support/random.js';
import { DetectorBench } from './detector-bench.js';

/** A detector that has had a minute of good time. */
function settled(options: ConstructorParameters<typeof DetectorBench>[0] = {}): DetectorBench {
  const bench = new DetectorBench(options).started();
  assert.equal(bench.state, 'answering');
  bench.runUntil(60_000);
  assert.equal(bench.state, 'answering');
  return bench;
}

/** From now on nobody answers. */
function cut(bench: DetectorBench, ...labels: readonly string[]): void {
  const before = bench.network;
  bench.network = (label, sentMs) => (labels.length === 0 || labels.includes(label) ? null : before(label, sentMs));
}

function silentAt(bench: DetectorBench): number {
  return bench.states.findLast((s) => s.state === 'silent')?.atMs ?? Number.NaN;
}

test('the first answer is the first verdict', () => {
  const bench = new DetectorBench();
  bench.detector.start(0);
  bench.runUntil(19.9);
  assert.equal(bench.state, 'starting');
  bench.runUntil(20);
  assert.deepEqual(bench.states, [{ state: 'answering', atMs: 20 }]);
});

test('nothing answers at start: silent after the ceiling, within two seconds', () => {
  const bench = new DetectorBench();
  bench.network = () => null;
  bench.detector.start(0);
  bench.runUntil(2_000);
  assert.deepEqual(
    bench.states.map((s) => s.state),
    ['silent'],
  );
  assert.ok(silentAt(bench) <= 1_020 + 1);
});

test('probes are spread over the interval, and keep their cadence', () => {
  const bench = settled({ targets: ['a', 'b', 'c', 'd'] });
  const phases = ['a', 'b', 'c', 'd'].map((label) => {
    const times = bench.asked.filter((a) => a.label === label && a.atMs > 5_000).map((a) => a.atMs % 1000);
    assert.ok(times.length >= 54);
    assert.equal(new Set(times.map((t) => t.toFixed(3))).size, 1, 'the phase does not drift');
    return times[0] ?? Number.NaN;
  });
  phases.sort((x, y) => x - y);
  const gaps = phases.map((phase, i) => (phases[(i + 1) % 4] ?? 0) - phase + (i === 3 ? 1000 : 0));
  for (const gap of gaps) assert.ok(Math.abs(gap - 250) < 1, `gaps ${gaps.join()}`);
});

test('silence: certain after one deadline, two more probes and another deadline', () => {
  const bench = settled();
  cut(bench);
  bench.runUntil(63_000);
  const first = bench.asked.find((a) => a.atMs >= 60_000)?.atMs ?? 0;
  // RTT 20 ms: an answer is overdue after 60 ms, the burst takes 20 ms of pace and 60 ms for its last answer
  assert.ok(
    Math.abs(silentAt(bench) - (first + 60 + 20 + 60)) < 1,
    `silent ${silentAt(bench) - first} ms after the first probe lost`,
  );
  assert.equal(bench.detector.silentSinceMs, first);
  assert.equal(bench.suspicions, 1);
});

test('one probe lost of a living target: the burst answers, nothing becomes silent', () => {
  const bench = settled();
  let lost = false;
  bench.network = () => {
    if (lost) return 20;
    lost = true;
    return null;
  };
  const before = bench.states.length;
  bench.runUntil(62_000);
  assert.deepEqual(
    bench.states.slice(before).map((s) => s.state),
    ['answering'],
  );
});

test('any answer ends the suspicion, also a late one to the very probe that was overdue', () => {
  const bench = settled();
  let asked = 0;
  bench.network = () => {
    asked += 1;
    return asked === 1 ? 75 : asked < 4 ? null : 20;
  };
  bench.runUntil(60_570);
  assert.equal(bench.state, 'suspect');
  bench.runUntil(60_575);
  assert.equal(bench.state, 'answering');
});

test('an answer that was under way when the line broke proves nothing', () => {
  // 600 ms away: two answers are still in the air when the third probe is missed.
  const bench = new DetectorBench({ probe: { intervalMs: 300 } });
  bench.network = () => 600;
  bench.detector.start(0);
  bench.runUntil(30_000);
  cut(bench);
  bench.runUntil(34_000);
  assert.equal(bench.state, 'silent');
  const since = bench.detector.silentSinceMs ?? 0;
  assert.ok(since >= 30_000 && since <= 30_300, `silent since ${since}`);
});

test('of a silence that a late answer ends only what was asked before that is lost; one that nobody would wait for is lost', () => {
  const shareAfter = (network: (sentMs: number, cutMs: number) => number | null): number => {
    const bench = settled();
    const before = bench.network;
    bench.network = (label, sentMs) => (sentMs >= 60_000 && sentMs < 63_000 ? network(sentMs, 60_000) : before(label, sentMs));
    bench.runUntil(70_000);
    assert.ok(bench.states.some((s) => s.state === 'silent' && s.atMs > 60_000));
    assert.equal(bench.state, 'answering');
    return bench.detector.lostShare;
  };
  assert.equal(
    shareAfter(() => 900),
    0,
    'everything came, late',
  );
  assert.equal(
    shareAfter(() => null),
    1,
    'nothing came',
  );
  assert.equal(
    shareAfter((sentMs, cutMs) => (sentMs < cutMs + 1_500 ? null : 600)),
    1,
    'most of it was lost',
  );
  assert.equal(
    shareAfter(() => 2_500),
    1,
    'all of it came after more than the time limit',
  );
});

test('a late answer repairs the loss record', () => {
  const bench = settled({ targets: ['a', 'b'] });
  const [a] = bench.detector.targets;
  const before = a?.window.summarize(bench.now);
  assert.equal(before?.lost, 0);
  let slow = true;
  bench.network = (label) => {
    if (label !== 'a' || !slow) return 20;
    slow = false;
    return 500;
  };
  bench.runUntil(60_500);
  assert.equal(slow, false);
  assert.equal(a?.window.summarize(bench.now).lost, 1);
  bench.runUntil(61_000);
  assert.equal(a?.window.summarize(bench.now).lost, 0);
});

test('one of two targets dead: no silence, ever, and no burst for each of its misses', () => {
  const bench = settled({ targets: ['a', 'b'] });
  cut(bench, 'a');
  bench.runUntil(360_000);
  assert.ok(!bench.states.some((s) => s.state === 'silent'));
  // 300 s with 2 regular probes each, and a few bursts until it is known to be dead
  assert.ok(bench.askedSince(60_000) < 640, `${bench.askedSince(60_000)} probes`);
});

test('with a dead target beside it, the last living one falling silent is still noticed at once', () => {
  const bench = settled({ targets: ['a', 'b'] });
  cut(bench, 'a');
  bench.runUntil(120_000);
  cut(bench, 'a', 'b');
  bench.runUntil(123_000);
  const first = bench.asked.find((p) => p.label === 'b' && p.atMs >= 120_000)?.atMs ?? 0;
  assert.ok(silentAt(bench) - first < 150, `${silentAt(bench) - first} ms`);
});

test('512 targets at 10 a second: one dead one among them costs no burst', () => {
  const targets = Array.from({ length: 512 }, (_, i) => `t${i}`);
  const bench = new DetectorBench({ targets, probe: { intervalMs: 100 } });
  bench.detector.start(0);
  bench.runUntil(3_000);
  const from = bench.now;
  cut(bench, 't100');
  bench.runUntil(from + 2_000);
  assert.equal(bench.state, 'answering');
  // 20 rounds of 512, and not one of the 1,536 probes of a burst
  assert.ok(bench.askedSince(from) <= 20 * 512 + 512, `${bench.askedSince(from)} probes in 2 s`);
  assert.equal(bench.suspicions, 0);
});

test('512 targets: 2 % of random loss costs no bursts either', () => {
  const seed = seedFromEnvironment();
  const random = new Random(seed);
  const targets = Array.from({ length: 512 }, (_, i) => `t${i}`);
  const bench = new DetectorBench({ targets, probe: { intervalMs: 100 } });
  bench.detector.start(0);
  bench.runUntil(3_000);
  bench.network = () => (random.chance(0.02) ? null : random.between(15, 25));
  const from = bench.now;
  bench.runUntil(from + 2_000);
  assert.equal(bench.suspicions, 0, `seed ${seed}`);
  assert.ok(bench.askedSince(from) <= 20 * 512 + 512);
});

// ---- quorum ----------------------------------------------------------------------------------------------------------

test('quorum 2 of 2: one dead target is a silence', () => {
  const bench = settled({ targets: ['a', 'b'], quorum: 2 });
  cut(bench, 'a');
  bench.runUntil(62_500);
  assert.ok(['silent', 'recovering'].includes(bench.state), bench.state);
  assert.ok(silentAt(bench) > 60_000);
});

test('quorum 2 of 2: also where the living target answers after the dead one was given up', () => {
  const bench = new DetectorBench({ targets: ['near', 'far'], quorum: 2 });
  bench.network = (label) => (label === 'near' ? 5 : 300);
  bench.detector.start(0);
  bench.runUntil(60_000);
  cut(bench, 'near');
  bench.runUntil(65_000);
  assert.ok(['silent', 'recovering'].includes(bench.state), `it is ${bench.state}: the burst was never judged`);
});

test('quorum 2 of 3: one dead target is no silence, two are', () => {
  const bench = settled({ targets: ['a', 'b', 'c'], quorum: 2 });
  cut(bench, 'a');
  bench.runUntil(120_000);
  assert.ok(!bench.states.some((s) => s.state === 'silent'));
  cut(bench, 'a', 'b');
  bench.runUntil(123_000);
  assert.ok(silentAt(bench) > 120_000);
});

test('quorum 2: when both answer again the path recovers', () => {
  const bench = settled({ targets: ['a', 'b'], quorum: 2 });
  cut(bench, 'a');
  bench.runUntil(70_000);
  bench.detector.accepted();
  bench.network = () => 20;
  bench.runUntil(72_500);
  assert.equal(bench.state, 'answering');
});

test('quorum greater than the number of targets asks for all of them', () => {
  const bench = settled({ targets: ['a', 'b'], quorum: 5 });
  assert.equal(bench.state, 'answering');
});

// ---- silence and its end ---------------------------------------------------------------------------------------------

test('a silence that is borne is watched at 200 ms and its end is noticed at once', () => {
  const bench = settled({ probe: { intervalMs: 5_000 } });
  cut(bench);
  bench.runUntil(66_000);
  assert.equal(bench.state, 'silent');
  const from = bench.now;
  bench.runUntil(from + 1_000);
  const watched = bench.askedSince(from);
  assert.ok(watched >= 4 && watched <= 6, `${watched} probes in a second`);
  bench.network = () => 20;
  bench.runUntil(bench.now + 230);
  assert.equal(bench.state, 'answering');
});

test('once it is accepted only the regular probes ask', () => {
  const bench = settled({ probe: { intervalMs: 5_000 } });
  cut(bench);
  bench.runUntil(66_000);
  bench.detector.accepted();
  const from = bench.now;
  bench.runUntil(from + 30_000);
  assert.equal(bench.askedSince(from), 6);
});

test('an accepted silence ends only when half of a burst is answered: one lucky packet is no recovery', () => {
  const bench = settled();
  cut(bench);
  bench.runUntil(62_000);
  bench.detector.accepted();
  let asked = 0;
  bench.network = () => {
    asked += 1;
    return asked === 1 ? 20 : null;
  };
  bench.runUntil(65_000);
  assert.equal(bench.state, 'silent');
  assert.ok(bench.states.every((s) => s.atMs < 62_000 || s.state !== 'answering'));
  bench.network = () => 20;
  bench.runUntil(68_000);
  assert.equal(bench.state, 'answering');
});

test('good for a moment only: probes missed while the burst is waited for do not hide the next silence', () => {
  const bench = new DetectorBench({ probe: { intervalMs: 100 } }).started();
  // Two thirds of the recovery burst fall into the moment, and the last one is waited for for a second.
  bench.network = (_, at) => (at < 3_000 || (at >= 5_000 && at < 5_085) ? 20 : null);
  bench.runUntil(4_000);
  assert.equal(bench.state, 'silent');
  bench.detector.accepted();
  bench.runUntil(9_000);
  assert.ok(
    bench.states.some(({ state, atMs }) => state === 'answering' && atMs > 5_000),
    'the burst was answered',
  );
  assert.equal(bench.state, 'silent');
});

test('a recovering path is granted the full time: its RTT may be another one now', () => {
  const bench = settled();
  cut(bench);
  bench.runUntil(62_000);
  bench.detector.accepted();
  bench.network = () => 700;
  bench.runUntil(66_000);
  assert.equal(bench.state, 'answering');
});

test('so is one that starts anew: after another gateway took over, the old RTT says nothing', () => {
  const bench = settled();
  bench.network = () => 700;
  bench.detector.start(bench.now);
  bench.runUntil(62_000);
  assert.ok(!bench.states.some((s) => s.state === 'silent'), 'a path that answers every probe was called silent');
  assert.equal(bench.state, 'answering');
});

test('recoveries that fail at once do not multiply the watch over a borne silence', () => {
  const bench = settled({ targets: ['a', 'b'], quorum: 2 });
  // One target answers at once, the other is refused at once: each answer begins a recovery that fails in no time.
  bench.network = (label) => (label === 'a' ? 2 : { reason: 'refused', afterMs: 1 });
  bench.runUntil(62_000);
  const early = bench.askedSince(bench.now - 1_000);
  bench.runUntil(72_000);
  const late = bench.askedSince(bench.now - 1_000);
  assert.ok(late <= early * 1.5 + 5, `${early} probes a second grew to ${late}`);
});

test('answers to what was asked before the silence do not end it', () => {
  const bench = settled();
  let asked = 0;
  bench.network = () => {
    asked += 1;
    // the very last answer of the old times comes four seconds late
    return asked === 1 ? 20 : asked === 2 ? 4_000 : null;
  };
  bench.runUntil(62_500);
  assert.equal(bench.state, 'silent');
  const since = bench.detector.silentSinceMs ?? 0;
  const late = bench.asked.filter((a) => a.atMs >= 60_000)[1];
  assert.equal(late?.atMs, since, 'the probe that dates the silence is the one whose answer comes late');
  bench.detector.accepted();
  bench.runUntil(70_000);
  assert.equal(bench.state, 'silent', 'one late answer starts a burst, and that is not answered');
});

// ---- reasons ---------------------------------------------------------------------------------------------------------

test('the reason tells the gateway from what lies beyond it', () => {
  const upstream = settled({ gateway: true });
  cut(upstream, 'a');
  upstream.runUntil(63_000);
  assert.equal(upstream.detector.reason, 'upstream-silent');

  const gateway = settled({ gateway: true });
  cut(gateway);
  gateway.runUntil(63_000);
  assert.equal(gateway.detector.reason, 'gateway-silent');

  const mute = new DetectorBench({ gateway: true });
  mute.network = (label) => (label === 'gateway' ? null : 20);
  mute.started();
  mute.runUntil(60_000);
  cut(mute);
  mute.runUntil(63_000);
  assert.equal(mute.detector.reason, 'silent', 'a gateway that never answered proves nothing');

  const alone = settled({ targets: ['the gateway itself'] });
  cut(alone);
  alone.runUntil(63_000);
  assert.equal(alone.detector.reason, 'gateway-silent');
});

test('the reason follows when the gateway comes back before the upstream', () => {
  const bench = settled({ gateway: true });
  cut(bench);
  bench.runUntil(63_000);
  bench.detector.accepted();
  bench.network = (label) => (label === 'gateway' ? 1 : null);
  bench.runUntil(66_000);
  assert.equal(bench.detector.reason, 'upstream-silent');
  assert.equal(bench.state, 'silent');
});

for (const [told, reason] of [
  ['no-route', 'no-route'],
  ['unreachable', 'unreachable'],
  ['ttl-exceeded', 'unreachable'],
  ['portal', 'portal'],
  ['local-fault', 'local-fault'],
] as const) {
  test(`${told} is evidence at once: silent without waiting for any deadline, ${reason}`, () => {
    const bench = settled({ gateway: true });
    bench.network = (label) => (label === 'gateway' ? 1 : { reason: told, afterMs: 3 });
    bench.runUntil(62_000);
    const first = bench.asked.find((a) => a.label === 'a' && a.atMs >= 60_000)?.atMs ?? 0;
    assert.ok(silentAt(bench) - first <= 3 + 20 + 3 + 0.1, `after ${silentAt(bench) - first} ms`);
    assert.equal(bench.detector.reason, reason);
  });
}

// ---- rechecks and names ----------------------------------------------------------------------------------------------

test('a recheck asks at once, and not again within a second', () => {
  const bench = settled();
  const from = bench.now;
  bench.detector.recheck(from);
  assert.equal(bench.askedSince(from), 1);
  assert.equal(bench.state, 'suspect');
  bench.runUntil(from + 200);
  assert.equal(bench.state, 'answering');
  bench.detector.recheck(bench.now);
  assert.equal(bench.state, 'answering');
  assert.equal(bench.suspicions, 0, "a recheck is nobody else's business");
});

test('targets without an address are left out; while none has one, the gateway stands in for them', () => {
  const bench = new DetectorBench({ targets: ['a', 'b'], gateway: true });
  for (const target of bench.detector.targets) target.spec.address = null;
  bench.started();
  assert.equal(bench.state, 'answering');
  assert.ok(bench.asked.every((a) => a.label === 'gateway'));
  const [a] = bench.detector.targets;
  if (a !== undefined) a.spec.address = 'a';
  bench.detector.addressesChanged();
  bench.runUntil(10_000);
  cut(bench, 'a');
  bench.runUntil(13_000);
  assert.equal(bench.state, 'silent', 'now the target counts and the gateway does not');
  assert.equal(bench.detector.reason, 'upstream-silent');
});

test('nothing to ask: no verdict is made up', () => {
  const bench = new DetectorBench({ targets: ['a'] });
  for (const target of bench.detector.targets) target.spec.address = null;
  bench.detector.start(0);
  bench.runUntil(60_000);
  assert.equal(bench.state, 'starting');
  assert.deepEqual(bench.states, []);
});

test('after stop nothing is asked, and what comes in means nothing', () => {
  const bench = settled();
  bench.runUntil(60_490);
  const before = bench.states.length;
  bench.detector.stop();
  const from = bench.now;
  bench.runUntil(90_000);
  assert.equal(bench.askedSince(from + 1), 0);
  assert.equal(bench.states.length, before);
  assert.equal(bench.state, 'idle');
});

// ---- stalls ----------------------------------------------------------------------------------------------------------

test('a stall at any instant of a burst or of good times makes nothing silent', () => {
  const seed = seedFromEnvironment();
  const random = new Random(seed);
  const bench = settled();
  for (let round = 0; round < 200; round += 1) {
    bench.runUntil(bench.now + random.between(0, 2_000));
    bench.stall(random.between(260, 8_000));
  }
  bench.runUntil(bench.now + 5_000);
  assert.ok(!bench.states.some((s) => s.state === 'silent'), `seed ${seed}`);
  assert.equal(bench.state, 'answering');
});

test('samples under way in a stall are void, not lost', () => {
  const bench = settled();
  const [target] = bench.detector.targets;
  bench.network = () => 200;
  bench.runUntil(60_000 + 520);
  assert.ok(bench.askedSince(60_000) > 0);
  bench.stall(5_000);
  bench.network = () => 20;
  bench.runUntil(bench.now + 3_000);
  assert.equal(target?.window.summarize(bench.now).lost, 0);
});

for (const quorum of [1, 2]) {
  test(`a silence that is being borne starts over after a stall (quorum ${quorum})`, () => {
    const bench = settled({ targets: ['a', 'b'], quorum });
    cut(bench);
    bench.runUntil(61_500);
    assert.equal(bench.state, 'silent');
    // while a borne silence is being checked for its end, too
    if (quorum === 2) {
      bench.network = (label) => (label === 'a' ? 5 : null);
      bench.runUntil(61_800);
      assert.equal(bench.state, 'recovering');
    }
    bench.stall(5_000);
    const since = bench.detector.silentSinceMs;
    assert.ok(since === null || since >= bench.now, `patience still counts from ${since}, before the stall`);
    bench.network = () => 20;
    bench.runUntil(bench.now + 1_000);
    assert.equal(bench.state, 'answering');
  });
}

test('a late tick does not bunch the probes of many targets together for ever', () => {
  const targets = Array.from({ length: 10 }, (_, i) => `t${i}`);
  const bench = new DetectorBench({ targets, probe: { intervalMs: 100 } });
  bench.detector.start(0);
  bench.runUntil(2_000);
  // Busy for 240 ms, which is no stall: the agenda comes late, by more than an interval for most.
  bench.now += 240;
  bench.agenda.runDue(bench.now);
  bench.runUntil(bench.now + 1_000);
  const from = bench.now;
  bench.runUntil(from + 100);
  const instants = new Set(bench.asked.filter((a) => a.atMs > from).map((a) => Math.round(a.atMs)));
  assert.equal(instants.size, 10, 'ten targets are asked at ten instants');
});
