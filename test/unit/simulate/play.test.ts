/** What a play tells: the bill over the links' own times, moves, the way back in the end, and what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Config, UplinkConfig } from '../../../src/core/config.js';
import type { Link } from '../../../src/simulate/link.js';
import { playLinks } from '../../../src/simulate/play.js';
import type { Played } from '../../../src/simulate/played.js';
import { score } from '../../../src/simulate/score/scored.js';
import { linkOf, randomLink, silence } from '../../support/links.js';
import { Random } from '../../support/random.js';
import { config, gateway, icmp, uplinkConfig } from '../../support/topology.js';

const PRICES = { switchS: 2.5, perSecond: [0, 0.02] };
const HOUR_MS = 3_600_000;

function twoUplinks(change: Partial<UplinkConfig> = {}): Config {
  return config(
    ['fast', 'backup'].map((name, place) =>
      uplinkConfig(name, {
        gateways: [gateway(`192.0.2.${place + 1}`)],
        targets: [icmp(`198.51.100.${place + 1}`)],
        failAfterMs: 2_000,
        recoverAfterMs: 30_000,
        holdDown: { factor: 1, maxMs: HOUR_MS, decayMs: HOUR_MS },
        ...change,
      }),
    ),
  );
}

const playOf = (links: readonly Link[], made: Config = twoUplinks()): Promise<Played> =>
  playLinks({ name: 'any', config: made, links, prices: PRICES, seed: 7 });

function near(actual: number, expected: number, within: number, what: string): void {
  assert.ok(Math.abs(actual - expected) <= within, `${what}: ${actual}, not ${expected}`);
}

test('an uplink that is only slow for three seconds each half minute is not left for that', async () => {
  const link = linkOf('a', 2 * HOUR_MS);
  const slow = Array.from({ length: 7200 }, (_, s) => ({ fromMs: 1000 * s, rttMs: s % 37 < 3 ? 950 : 30 }));
  const made = twoUplinks({ failAfterMs: null, recoverAfterMs: null });
  const { feltS, switches } = await playOf([{ ...link, rtts: slow }], made);
  assert.equal(feltS, 0, 'nothing is lost');
  assert.equal(switches, 0);
});

test('an hour without trouble costs nothing, and settling is free', async () => {
  const { feltS, switches, onBackupS, cost, moves, complete, healths, probes } = await playOf([linkOf('a', HOUR_MS)]);
  assert.deepEqual(
    { feltS, switches, onBackupS, cost, moves, complete },
    {
      feltS: 0,
      switches: 0,
      onBackupS: 0,
      cost: 0,
      moves: [],
      complete: true,
    },
  );
  assert.deepEqual(
    healths.map(({ uplink, health }) => [uplink, health]),
    [
      [0, 'up'],
      [1, 'up'],
    ],
  );
  // two targets a second, their gateways every ten seconds, ten seconds of settling
  near(probes, 2 * 3610 * 1.1, 20, 'probes');
});

test('one long outage: moved away after patience, back after the hold, billed by its own times', async () => {
  const outage = silence(600_000, 60_000);
  const { feltS, switches, onBackupS, cost, moves } = await playOf([linkOf('a', HOUR_MS, { silences: [outage] })]);
  assert.deepEqual(
    moves.map(({ from, to, reason }) => [from, to, reason]),
    [
      [0, 1, 'upstream-silent'],
      [1, 0, 'preferred'],
    ],
  );
  const [away, back] = moves;
  // The first probe in the silence comes up to an interval late, and patience counts from it.
  near(away?.atMs ?? 0, outage.fromMs + 2_500, 700, 'away');
  near(back?.atMs ?? 0, outage.toMs + 30_500, 700, 'back');
  assert.equal(feltS, ((away?.atMs ?? 0) - outage.fromMs) / 1000);
  near(onBackupS, ((back?.atMs ?? 0) - (away?.atMs ?? 0)) / 1000, 1e-6, 'on the backup');
  near(cost, feltS + 2 * 2.5 + 0.02 * onBackupS, 1e-6, 'cost');
  assert.equal(switches, 2);
});

test('who is on the backup in the end has to go back, and pays for it', async () => {
  const lengthMs = 700_000;
  const played = await playOf([linkOf('a', lengthMs, { silences: [silence(600_000, 90_000)] })]);
  assert.equal(played.switches, 2);
  assert.ok((played.moves[1]?.atMs ?? 0) > lengthMs, 'the way back lies beyond the end');
  assert.deepEqual(played.span, { fromMs: 0, toMs: lengthMs });
  const later = await playOf(
    [linkOf('a', lengthMs, { silences: [silence(600_000, 90_000)] })],
    twoUplinks({ recoverAfterMs: 5 * HOUR_MS, holdDown: { factor: 1, maxMs: 5 * HOUR_MS, decayMs: HOUR_MS } }),
  );
  assert.equal(later.switches, 2);
  assert.equal(later.moves.length, 2);
  near(later.onBackupS, 5 * 3_600 + 87.5, 1.5, 'the whole hold');
});

test('who is held longer than the recording goes on pays for the hold, the same as with good time behind it', async () => {
  const silences = [silence(100_000, 3_000_000)];
  const made = { ...twoUplinks({ failAfterMs: null, recoverAfterMs: null }), switchCostMs: 120_000 };
  const prices = { switchS: 120, perSecond: [0, 0.02] };
  const bills = [];
  for (const lengthMs of [3_120_000, 3_100_000 + 10 * HOUR_MS]) {
    const links = [linkOf('a', lengthMs, { silences }), linkOf('b', lengthMs)];
    const played = await playLinks({ name: 'any', config: made, links, prices, seed: 1 });
    assert.equal(played.moves.length, 2);
    const { bill } = score(played, links, prices, null);
    for (const key of ['feltS', 'switches', 'onBackupS', 'cost'] as const) near(bill[key], played[key], 1e-6, key);
    bills.push(bill);
  }
  const [short, long] = bills;
  assert.ok((short?.onBackupS ?? 0) > 3_000 + 3_600, `${short?.onBackupS} s on the backup`);
  near(short?.cost ?? 0, long?.cost ?? 0, 1e-6, 'cost');
});

test('who does not come back for good reason is billed as if he went back in the end', async () => {
  // Degraded for ever: no hold says when it ends.
  const rtts = [
    { fromMs: 0, rttMs: 20 },
    { fromMs: 300_000, rttMs: 500 },
  ];
  const slow: UplinkConfig['degraded'] = { loss: null, rttMs: { high: 200, low: 100 }, jitterMs: null, policy: 'yield' };
  const links = [linkOf('a', 600_000, { rtts }), linkOf('b', 600_000)];
  const played = await playOf(links, twoUplinks({ degraded: slow }));
  assert.equal(played.moves.length, 1);
  assert.equal(played.switches, 2);
  near(played.onBackupS, (600_000 - (played.moves[0]?.atMs ?? 0)) / 1000, 1e-6, 'on the backup');
  const { bill } = score(played, links, PRICES, null);
  for (const key of ['feltS', 'switches', 'onBackupS', 'cost'] as const) near(bill[key], played[key], 1e-6, key);
});

test('where it begins on the backup both reckonings do', async () => {
  const slow: UplinkConfig['degraded'] = { loss: null, rttMs: { high: 200, low: 100 }, jitterMs: null, policy: 'yield' };
  // Often enough that it is known before the recording begins.
  const probe = { ...uplinkConfig('any', { gateways: [] }).probe, intervalMs: 200 };
  for (const change of [{}, { tier: 1 }]) {
    for (const rtts of [
      [{ fromMs: 0, rttMs: 500 }],
      [
        { fromMs: 0, rttMs: 500 },
        { fromMs: 200_000, rttMs: 20 },
      ],
    ]) {
      const links = [linkOf('a', 600_000, { rtts }), linkOf('b', 600_000)];
      const played = await playOf(links, twoUplinks({ degraded: slow, probe, ...change }));
      assert.equal(played.beginsOn, 1);
      assert.ok(played.onBackupS > 150, `${played.onBackupS}`);
      const { bill } = score(played, links, PRICES, null);
      for (const key of ['feltS', 'switches', 'onBackupS', 'cost'] as const) near(bill[key], played[key], 1e-6, key);
    }
  }
});

test('a share of the packets lost is that share of an outage', async () => {
  const lossy = [{ fromMs: 100_000, toMs: 300_000, share: 0.05 }];
  const { feltS } = await playOf([linkOf('a', 400_000, { lossy })], twoUplinks({ degraded: KEEP }));
  near(feltS, 10, 1e-6, 'felt');
});

const KEEP: UplinkConfig['degraded'] = { loss: null, rttMs: null, jitterMs: null, policy: 'keep' };

test('a lost carrier is known at once, a silent gateway is told from what lies beyond it', async () => {
  const silences = [silence(100_000, 50_000, 'carrier'), silence(300_000, 50_000, 'gateway'), silence(500_000, 50_000, 'loss')];
  const { moves } = await playOf([linkOf('a', 700_000, { silences })]);
  assert.deepEqual(
    moves.map((move) => move.reason),
    ['carrier-lost', 'preferred', 'gateway-silent', 'preferred', 'upstream-silent', 'preferred'],
  );
  assert.ok((moves[0]?.atMs ?? 0) < 100_010, 'within milliseconds');
});

test('both uplinks have links: by name, and laid by their absolute times', async () => {
  const backup: Link = {
    ...linkOf('backup', HOUR_MS, { silences: [silence(500_000, 60_000)] }),
    originWallMs: 1_700_000_100_000,
  };
  const fast: Link = { ...linkOf('a', HOUR_MS, { silences: [silence(650_000, 60_000)] }), originWallMs: 1_700_000_000_000 };
  // On the axis of the link named first, `backup` is silent from 500 s to 560 s, and the other one from 550 s to 610 s.
  const played = await playOf([backup, fast]);
  assert.deepEqual(played.span, { fromMs: 0, toMs: HOUR_MS - 100_000 });
  assert.deepEqual(
    played.moves.map(({ from, to }) => [from, to]),
    [
      [0, 1],
      [1, 0],
    ],
  );
  near(played.moves[0]?.atMs ?? 0, 561_000, 1_000, 'as soon as the backup answers');
});

test('an uplink without targets is watched through its gateway alone, and its silences are noticed', async () => {
  const { moves } = await playOf([linkOf('a', HOUR_MS, { silences: [silence(600_000, 60_000)] })], twoUplinks({ targets: [] }));
  assert.equal(moves.length, 2);
});

test('the same request gives the same result, byte for byte; another seed another one', async () => {
  const link = randomLink('a', HOUR_MS, new Random(3));
  const made = twoUplinks({ failAfterMs: null, recoverAfterMs: null });
  const once = (seed: number) => playLinks({ name: 'any', config: made, links: [link], prices: PRICES, seed });
  const [first, second, other] = [await once(1), await once(1), await once(2)];
  assert.equal(JSON.stringify(first), JSON.stringify(second));
  assert.notEqual(JSON.stringify(first), JSON.stringify(other));
});

test('an abort gives the part done; progress goes up to 1', async () => {
  const stop = new AbortController();
  const lossy = [{ fromMs: 0, toMs: 300 * HOUR_MS, share: 0.02 }];
  const request = { name: 'any', config: twoUplinks(), links: [linkOf('a', 300 * HOUR_MS, { lossy })], prices: PRICES, seed: 1 };
  const shares: number[] = [];
  const part = await playLinks(request, {
    signal: stop.signal,
    progress: (share) => {
      shares.push(share);
      if (share > 0) stop.abort();
    },
  });
  assert.equal(part.complete, false);
  assert.ok(part.span.toMs > 0 && part.span.toMs < 300 * HOUR_MS, `up to ${part.span.toMs}`);
  near(part.feltS, 0.02 * (part.span.toMs / 1000), 0.1, 'felt up to there');
  const whole: number[] = [];
  await playLinks({ ...request, links: [linkOf('a', HOUR_MS)] }, { progress: (share) => whole.push(share) });
  assert.equal(whole.at(-1), 1);
  assert.deepEqual(
    shares,
    shares.toSorted((a, b) => a - b),
  );
});

test('links that do not fit are refused', async () => {
  const link = linkOf('a', HOUR_MS);
  await assert.rejects(playOf([]), /no link to play/);
  await assert.rejects(playOf([link, link, link]), /3 links were given for 2 uplinks/);
  await assert.rejects(playOf([linkOf('a', 0)]), /a covers no time/);
  const apart = [
    { ...link, originWallMs: 0 },
    { ...linkOf('b', HOUR_MS), originWallMs: 10 * HOUR_MS },
  ];
  await assert.rejects(playOf(apart), /a and b have no time in common/);
});

test('a gateway of IPv6 alone, names, services and drills are no part of what is played', async () => {
  const usual = twoUplinks();
  const made: Config = {
    ...usual,
    masquerade: true,
    connections: { failover: 'end', failback: 'drain', drainMs: 60_000, moveUdpPorts: [], inbound: 'same' },
    drill: { everyDays: 1, atMinute: 0, uplinks: [], traffic: 'all', forMs: 60_000 },
    uplinks: usual.uplinks.map((uplink) => ({
      ...uplink,
      interface: 'eth7',
      gateways: [{ family: 6, host: { kind: 'name', name: 'router' } }],
      targets: [{ label: 'a', host: { kind: 'name', name: 'somewhere' }, kind: 'tcp', port: 443 }],
    })),
  };
  const { switches } = await playOf([linkOf('a', 100 * HOUR_MS, { silences: [silence(600_000, 60_000)] })], made);
  assert.equal(switches, 2);
});

test('uplinks that share: back is where the first carries its part again', async () => {
  const sharing = twoUplinks({ tier: 1 });
  const link = linkOf('fast', 600_000, { silences: [silence(100_000, 60_000)] });
  const { switches, onBackupS, feltS } = await playOf([link], sharing);
  assert.ok(feltS < 3, `${feltS} s felt: half of it on the first alone`);
  assert.ok(onBackupS > 250 && onBackupS < 450, `${onBackupS} s of 600: half of it, and all for a minute or two`);
  assert.ok(switches <= 2, `${switches} switches: none is owed in the end`);
});
