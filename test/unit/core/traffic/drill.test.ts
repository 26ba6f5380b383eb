/** Drills: when they are due, when they wait, what ends them at once, and what is said of the backup afterwards. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DRILL_SHARE, type DrillConfig } from '../../../../src/core/config.js';
import type { PathFigures, Verdict } from '../../../../src/core/detect/health.js';
import type { HistoryRecord } from '../../../../src/core/messages.js';
import type { Admin, Family } from '../../../../src/core/model.js';
import { Drill } from '../../../../src/core/traffic/drill.js';
import { type DrillScene, drillWeights } from '../../../../src/core/traffic/drill-scene.js';
import fc from '../../../support/properties.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** 1 November 2026, midnight; the bench's monotonic clock is 0 then, and local time is UTC */
const MIDNIGHT = Date.UTC(2026, 10, 1);
const AT = 4.5 * HOUR;
const WEEKLY: DrillConfig = { everyDays: 7, atMinute: 270, uplinks: [], traffic: 'all', forMs: 60 * SECOND };

const UP: Verdict = { health: 'up', reason: 'answers' };
const DOWN: Verdict = { health: 'down', reason: 'upstream-silent' };

class BenchPath {
  readonly uplink: { readonly name: string };
  readonly family: Family;
  verdict: Verdict = UP;
  suspicion: 'none' | 'suspect' | 'silent' = 'none';
  rttMs = 40;
  loss = 0;

  constructor(name: string, family: Family) {
    this.uplink = { name };
    this.family = family;
  }

  get good(): boolean {
    return this.verdict.health === 'up';
  }

  get doubtful(): boolean {
    return this.suspicion !== 'none';
  }

  figures(): PathFigures {
    return { loss: this.loss, lossOfFull: this.loss, rttMs: this.rttMs, jitterMs: 1, answered: 60 };
  }
}

class BenchChoice {
  readonly family: Family;
  active: string | null = 'fibre';
  sinceMs = -DAY;

  constructor(family: Family) {
    this.family = family;
  }
}

/** Fibre carries everything, the others wait. Connections are counted at once, unless `answers` is false. */
class Bench {
  readonly records: HistoryRecord[] = [];
  readonly paths: BenchPath[];
  readonly families: BenchChoice[];
  readonly admin = new Map<string, Admin>();
  readonly closed = new Set<string>();
  readonly draining = new Set<string>();
  readonly wakes: number[] = [];
  open = 0;
  replied = 0;
  answers = true;
  remembered = true;
  asked: number[] = [];
  now = 0;
  wall0 = MIDNIGHT;
  drill: Drill;
  #id = 0;

  constructor(
    config: DrillConfig | null = WEEKLY,
    uplinks = ['fibre', 'lte'],
    families: readonly Family[] = [4],
    last: number | null = null,
  ) {
    this.paths = uplinks.flatMap((name) => families.map((family) => new BenchPath(name, family)));
    this.families = families.map((family) => new BenchChoice(family));
    this.drill = this.#make(last);
    this.drill.configure(config, uplinks, 0);
  }

  #make(last: number | null): Drill {
    return new Drill(last, {
      wallMs: (ms) => this.wall0 + ms,
      utcOffsetMs: () => 0,
      record: (record) => this.records.push(record),
      count: () => {
        if (!this.remembered) return null;
        this.#id += 1;
        this.asked.push(this.#id);
        return this.#id;
      },
      wakeAt: (atMs) => this.wakes.push(atMs),
    });
  }

  /** As after a kill: only what is saved is left. */
  restart(config: DrillConfig | null): void {
    this.drill = this.#make(this.drill.lastDrillWallMs);
    this.drill.configure(config, ['fibre', 'lte'], this.now);
  }

  get scene(): DrillScene {
    return {
      paths: this.paths,
      families: this.families,
      adminOf: (uplink) => this.admin.get(uplink) ?? 'auto',
      closed: (uplink) => this.closed.has(uplink),
      draining: (uplink) => this.draining.has(uplink),
      shares: () => false,
    };
  }

  path(name: string, family: Family = 4): BenchPath {
    const path = this.paths.find((p) => p.uplink.name === name && p.family === family);
    assert.ok(path);
    return path;
  }

  look(): void {
    this.drill.look(this.scene, this.now);
    if (!this.answers || this.asked.length === 0) return;
    this.count();
    this.drill.look(this.scene, this.now);
  }

  count(): void {
    for (const id of this.asked.splice(0)) this.drill.counted({ id, open: this.open, replied: this.replied });
  }

  /** Looks each second until this instant. */
  until(now: number): this {
    while (this.now < now) {
      this.now = Math.min(now, this.now + SECOND);
      this.look();
    }
    return this;
  }

  overdue(name = 'lte', family: Family = 4): void {
    this.path(name, family).suspicion = 'suspect';
    this.drill.suspected(name, family, this.scene, this.now);
  }

  order(uplink: string | null): void {
    this.drill.command({ verb: 'drill', uplink, traffic: null, forMs: null }, this.scene, this.now);
    if (this.answers) this.count();
  }

  get trying(): string {
    return this.drill.wish?.uplink ?? 'none';
  }

  get outcomes(): string[] {
    return this.records.map((r) => `${r.uplink} ${r.data.outcome} ${r.data.left}`);
  }

  get last(): string {
    const record = this.records.at(-1);
    return record === undefined ? '' : `${record.severity}: ${record.text}`;
  }
}

describe('when', () => {
  test('at its hour, for its time, and again a week later', () => {
    const bench = new Bench().until(AT - SECOND);
    assert.equal(bench.trying, 'none');
    assert.equal(bench.drill.view(bench.now)?.nextWallMs, MIDNIGHT + AT);
    bench.until(AT);
    assert.deepEqual([bench.trying, bench.drill.wish?.families, bench.drill.wish?.traffic], ['lte', [4], 'all']);
    assert.deepEqual(bench.drill.view(bench.now), {
      nextWallMs: MIDNIGHT + AT + 7 * DAY,
      lastWallMs: MIDNIGHT + AT,
      uplink: 'lte',
      untilWallMs: MIDNIGHT + AT + MINUTE,
    });
    bench.until(AT + 59 * SECOND);
    assert.equal(bench.trying, 'lte');
    bench.until(AT + MINUTE + SECOND);
    assert.equal(bench.trying, 'none');
    assert.deepEqual(bench.outcomes, ['lte begun 1', 'lte works 0']);
    bench.until(AT + 2 * DAY);
    bench.now = AT + 7 * DAY - SECOND;
    bench.until(AT + 7 * DAY);
    assert.equal(bench.outcomes.length, 3);
  });

  test('what had the traffic before has not been left: only new connections go elsewhere', () => {
    const bench = new Bench(WEEKLY, ['fibre', 'lte', 'dsl']).until(AT);
    const standsIn = (): string[] => ['fibre', 'lte', 'dsl'].filter((name) => bench.drill.standsInFor(name, 4, bench.scene));
    assert.deepEqual([bench.trying, standsIn()], ['lte', ['fibre']]);
    assert.equal(bench.drill.standsInFor('fibre', 6, bench.scene), false);
    bench.until(AT + MINUTE + SECOND);
    assert.deepEqual([bench.trying, standsIn()], ['none', []]);
  });

  test('over, and the choice has not returned yet: what it goes back to has still not been left', () => {
    const setUp = (): Bench => {
      const bench = new Bench({ ...WEEKLY, uplinks: ['lte'] }, ['first', 'fibre', 'lte']).until(AT);
      for (const f of bench.families) f.active = 'lte';
      bench.until(AT + 10 * SECOND);
      return bench;
    };
    const standsIn = (bench: Bench): string[] =>
      ['first', 'fibre', 'lte'].filter((n) => bench.drill.standsInFor(n, 4, bench.scene));
    const late = setUp();
    late.overdue();
    assert.deepEqual([late.trying, standsIn(late)], ['none', ['fibre']]);
    late.until(AT + MINUTE);
    assert.deepEqual(standsIn(late), ['fibre'], 'its report is out long ago');
    for (const f of late.families) f.active = 'fibre';
    late.look();
    for (const f of late.families) f.active = 'lte';
    assert.deepEqual(standsIn(late), [], 'what happens after that is no drill');
    const ends: readonly (readonly [string, (bench: Bench) => void])[] = [
      ['its home fails', (b) => Object.assign(b.path('fibre'), { verdict: DOWN })],
      ['its home is disabled', (b) => b.admin.set('fibre', 'disabled')],
      ['somebody wants it so', (b) => b.admin.set('lte', 'forced')],
    ];
    for (const [how, end] of ends) {
      const bench = setUp();
      bench.overdue();
      end(bench);
      assert.deepEqual(standsIn(bench), [], how);
    }
    const sharer = setUp();
    sharer.overdue();
    for (const f of sharer.families) f.active = 'other';
    Object.assign(sharer.path('fibre'), { suspicion: 'suspect' });
    assert.deepEqual(standsIn(sharer), ['fibre'], 'who shared joins again with its next answer');
    Object.assign(sharer.path('fibre'), { suspicion: 'none' });
    assert.deepEqual(standsIn(sharer), []);
    const reloaded = setUp();
    reloaded.drill.configure(null, ['first', 'fibre', 'lte'], reloaded.now);
    assert.deepEqual(standsIn(reloaded), ['fibre']);
    const upwards = new Bench({ ...WEEKLY, uplinks: ['first'] }, ['first', 'fibre']).until(AT);
    for (const f of upwards.families) f.active = 'first';
    upwards.until(AT + 2 * MINUTE);
    assert.deepEqual(
      [upwards.outcomes.at(-1), standsIn(upwards)],
      ['first works 0', []],
      'from a preferred one nobody goes back',
    );
  });

  test('look says when the wish has changed, and wants to be woken for its end', () => {
    const bench = new Bench().until(AT - SECOND);
    bench.now = AT;
    assert.equal(bench.drill.look(bench.scene, bench.now), true);
    assert.equal(bench.drill.look(bench.scene, bench.now), false);
    bench.count();
    assert.ok(bench.wakes.every((at) => at > bench.now && at <= AT + MINUTE));
    bench.now = AT + MINUTE;
    assert.equal(bench.drill.look(bench.scene, bench.now), true);
  });

  test('a kill in its middle ends it, and it is not begun anew', () => {
    const bench = new Bench().until(AT + 10 * SECOND);
    bench.restart(WEEKLY);
    assert.equal(bench.trying, 'none');
    bench.until(AT + HOUR);
    assert.deepEqual(bench.outcomes, ['lte begun 1']);
    assert.equal(bench.drill.view(bench.now)?.nextWallMs, MIDNIGHT + AT + 7 * DAY);
  });

  test('slept through its hour, it waits for the same hour of the next day', () => {
    const bench = new Bench(WEEKLY, ['fibre', 'lte'], [4], MIDNIGHT - 7 * DAY + AT);
    bench.now = 15 * HOUR;
    bench.look();
    assert.deepEqual(bench.records, []);
    assert.equal(bench.drill.view(bench.now)?.nextWallMs, MIDNIGHT + DAY + AT);
    bench.until(16 * HOUR);
    bench.now = DAY + AT;
    bench.look();
    assert.deepEqual(bench.outcomes, ['lte begun 1']);
  });

  test('a clock that is set neither starts one nor loses one', () => {
    const last = MIDNIGHT - 3 * DAY + AT;
    const bench = new Bench(WEEKLY, ['fibre', 'lte'], [4], last);
    bench.wall0 = 0;
    bench.until(10 * MINUTE);
    bench.wall0 = MIDNIGHT + 12 * HOUR;
    bench.until(20 * MINUTE);
    assert.deepEqual(bench.records, []);
    assert.equal(bench.drill.view(bench.now)?.nextWallMs, last + 7 * DAY);
  });

  test('a clock that ran ahead leaves nothing behind: not the last time, nor the next', () => {
    const bench = new Bench(WEEKLY, ['fibre', 'lte'], [4], Date.UTC(2038, 0, 1));
    assert.equal(bench.drill.view(0)?.nextWallMs, MIDNIGHT + AT);
    const ahead = new Bench(WEEKLY);
    ahead.wall0 = Date.UTC(2038, 0, 1);
    ahead.until(MINUTE);
    ahead.wall0 = MIDNIGHT;
    ahead.until(2 * MINUTE);
    assert.equal(ahead.drill.view(ahead.now)?.nextWallMs, MIDNIGHT + AT);
  });

  test('several, one after the other, with ten quiet minutes between', () => {
    const bench = new Bench(WEEKLY, ['fibre', 'cable', 'lte']).until(AT + MINUTE + SECOND);
    assert.deepEqual(bench.outcomes, ['cable begun 2', 'cable works 1']);
    bench.until(AT + 11 * MINUTE - SECOND);
    assert.equal(bench.trying, 'none');
    bench.until(AT + 30 * MINUTE);
    assert.deepEqual(bench.outcomes.slice(2), ['lte begun 1', 'lte works 0']);
  });

  test('only those that the file names, and none that is in use or disabled', () => {
    const bench = new Bench({ ...WEEKLY, uplinks: ['fibre', 'lte', 'cable'] }, ['fibre', 'cable', 'lte', 'other']);
    bench.admin.set('cable', 'disabled');
    bench.until(AT + HOUR);
    assert.deepEqual(bench.outcomes, ['lte begun 1', 'lte works 0']);
  });

  test('by order at any time, also where the file knows of none', () => {
    const bench = new Bench(null).until(HOUR);
    assert.equal(bench.drill.view(bench.now), null);
    bench.order('lte');
    assert.equal(bench.drill.wish?.traffic, 'some');
    bench.order(null);
    assert.match(bench.last, /^warning: not tried: lte is being tried just now$/);
    bench.until(2 * HOUR);
    assert.deepEqual(bench.outcomes, ['lte begun 1', 'null not-tried 0', 'lte works 0']);
    bench.order('nosuch');
    assert.equal(bench.last, 'warning: not tried: there is no such uplink');
    bench.order('fibre');
    assert.equal(bench.last, 'warning: not tried: it is in use: that is trial enough');
  });
});

describe('ordered in between', () => {
  test('a planned one that is put off is taken up when the ordered one is over, and the date stays what it was', () => {
    const bench = new Bench();
    bench.path('fibre').suspicion = 'suspect';
    bench.until(AT + 5 * MINUTE);
    bench.path('fibre').suspicion = 'none';
    bench.order('lte');
    assert.equal(bench.trying, 'lte');
    assert.equal(bench.drill.view(bench.now)?.nextWallMs, MIDNIGHT + AT + 7 * DAY);
    bench.until(AT + 16 * MINUTE - SECOND);
    assert.deepEqual(bench.outcomes, ['lte put-off 1', 'lte begun 1', 'lte works 0']);
    bench.until(AT + 18 * MINUTE);
    assert.deepEqual(bench.outcomes.slice(3), ['lte begun 1', 'lte works 0']);
    assert.equal(bench.drill.view(bench.now)?.nextWallMs, MIDNIGHT + AT + 7 * DAY);
  });

  test('what cannot be tried now costs the planned one nothing either', () => {
    const bench = new Bench();
    bench.path('fibre').suspicion = 'suspect';
    bench.until(AT + 5 * MINUTE);
    bench.order('lte');
    bench.path('fibre').suspicion = 'none';
    bench.until(AT + 12 * MINUTE);
    assert.deepEqual(bench.outcomes, ['lte put-off 1', 'lte not-tried 0', 'lte begun 1', 'lte works 0']);
  });

  test('in the pause between two, planned or ordered themselves: the rest comes after it', () => {
    for (const ordered of [false, true]) {
      const bench = new Bench(ordered ? null : WEEKLY, ['fibre', 'cable', 'lte']).until(AT);
      if (ordered) bench.order(null);
      bench.until(AT + 5 * MINUTE);
      assert.deepEqual(bench.outcomes, ['cable begun 2', 'cable works 1']);
      bench.order('cable');
      bench.until(AT + HOUR);
      assert.deepEqual(bench.outcomes.slice(2), ['cable begun 1', 'cable works 0', 'lte begun 1', 'lte works 0'], `${ordered}`);
    }
  });

  test('its date comes while the ordered one runs: it begins ten minutes after that', () => {
    const bench = new Bench().until(AT - 30 * SECOND);
    bench.order('lte');
    for (const f of bench.families) f.active = 'lte';
    bench.until(AT + 29 * SECOND);
    for (const f of bench.families) f.active = 'fibre';
    bench.until(AT + 10 * MINUTE);
    assert.deepEqual(bench.outcomes, ['lte begun 1', 'lte works 0']);
    bench.until(AT + 12 * MINUTE);
    assert.deepEqual(bench.outcomes.slice(2), ['lte begun 1', 'lte works 0']);
    assert.equal(bench.drill.view(bench.now)?.nextWallMs, MIDNIGHT + AT + 7 * DAY);
  });

  test('by order on another day: it is shown as the last, and moves no date, over a restart either', () => {
    const bench = new Bench(WEEKLY, ['fibre', 'lte'], [4], MIDNIGHT - DAY + AT).until(MINUTE);
    const next = bench.drill.view(bench.now)?.nextWallMs;
    assert.equal(next, MIDNIGHT + 6 * DAY + AT);
    bench.order('lte');
    assert.deepEqual(
      [bench.drill.view(bench.now)?.nextWallMs, bench.drill.view(bench.now)?.lastWallMs],
      [next, MIDNIGHT + MINUTE],
    );
    bench.path('lte').verdict = DOWN;
    bench.until(HOUR);
    bench.order('lte');
    assert.match(bench.last, /does not work/);
    bench.restart(WEEKLY);
    assert.equal(bench.drill.view(bench.now)?.nextWallMs, next);
  });
});

describe('never while it would do harm', () => {
  const cases: readonly (readonly [string, (bench: Bench) => void, (bench: Bench) => void, RegExp])[] = [
    [
      'the active uplink is in doubt',
      (b) => {
        b.path('fibre').suspicion = 'suspect';
      },
      (b) => {
        b.path('fibre').suspicion = 'none';
      },
      /fibre itself is in doubt/,
    ],
    [
      'the active uplink is down',
      (b) => {
        b.path('fibre').verdict = DOWN;
      },
      (b) => {
        b.path('fibre').verdict = UP;
      },
      /fibre itself is in trouble: IPv4 is down/,
    ],
    ['anything is forced', (b) => b.admin.set('fibre', 'forced'), (b) => b.admin.clear(), /fibre is forced/],
    ['it is drained', (b) => b.draining.add('lte'), (b) => b.draining.clear(), /connections still finish on it/],
    [
      'a switch was less than ten minutes ago',
      (b) => {
        for (const f of b.families) f.sinceMs = AT - 5 * MINUTE;
      },
      () => undefined,
      /IPv4 came to fibre only 5 min ago/,
    ],
    [
      'it has not been judged yet',
      (b) => {
        b.path('lte').verdict = { health: 'unknown', reason: 'starting' };
      },
      (b) => {
        b.path('lte').verdict = UP;
      },
      /not been judged yet/,
    ],
    [
      'its own answers are being confirmed',
      (b) => {
        b.path('lte').suspicion = 'suspect';
      },
      (b) => {
        b.path('lte').suspicion = 'none';
      },
      /just being confirmed/,
    ],
  ];
  for (const [name, harm, cure, why] of cases) {
    test(`${name}: put off, told once, and tried again ten minutes later`, () => {
      const bench = new Bench();
      bench.until(AT - SECOND);
      harm(bench);
      bench.until(AT + 9 * MINUTE);
      assert.equal(bench.trying, 'none');
      assert.match(bench.last, why);
      assert.deepEqual(bench.outcomes, ['lte put-off 1']);
      cure(bench);
      bench.until(AT + 10 * MINUTE);
      assert.equal(bench.trying, 'lte');
    });

    // Who orders it knows of the switch, and does not mind.
    if (name.startsWith('a switch was')) continue;
    test(`${name}: an order is refused and not kept`, () => {
      const bench = new Bench(null);
      bench.now = AT;
      harm(bench);
      bench.order('lte');
      assert.match(bench.last, why);
      cure(bench);
      bench.until(AT + HOUR);
      assert.deepEqual(bench.outcomes, ['lte not-tried 0']);
    });
  }

  test('right after a switch an order is obeyed', () => {
    const bench = new Bench(null);
    bench.now = AT;
    for (const f of bench.families) f.sinceMs = AT - 5 * SECOND;
    bench.order('lte');
    assert.equal(bench.trying, 'lte');
  });

  test('what never gets calm is given up at midnight, told, and comes round in a week', () => {
    const bench = new Bench();
    bench.path('fibre').suspicion = 'suspect';
    bench.until(DAY + HOUR);
    assert.deepEqual(bench.outcomes, ['lte put-off 1', 'lte not-tried 0']);
    assert.equal(bench.last, 'warning: not tried: given up for today, fibre itself is in doubt');
    assert.equal(bench.drill.view(bench.now)?.nextWallMs, MIDNIGHT + AT + 7 * DAY);
  });

  test('its cap is reached: left out, and told', () => {
    const bench = new Bench();
    bench.closed.add('lte');
    bench.until(AT);
    assert.equal(bench.last, 'warning: not tried: what it may cost in a month is used up');
  });
});

describe('a dead backup is found', () => {
  test('down already: that is the report', () => {
    const bench = new Bench();
    bench.path('lte').verdict = DOWN;
    bench.until(AT);
    assert.equal(bench.trying, 'none');
    assert.equal(
      bench.last,
      'error: does not work: it could not take over: IPv4 is down, the gateway answers, but nothing beyond it does',
    );
    assert.equal(bench.drill.lastDrillWallMs, MIDNIGHT + AT);
    bench.until(AT + HOUR);
    assert.equal(bench.records.length, 1);
  });

  test('of two families one is dead: the other is tried, and the report names the dead one', () => {
    const bench = new Bench(WEEKLY, ['fibre', 'lte'], [4, 6]);
    bench.path('lte', 6).verdict = DOWN;
    bench.until(AT);
    assert.deepEqual(bench.drill.wish?.families, [4]);
    bench.until(AT + 2 * MINUTE);
    assert.match(
      bench.last,
      /^error: does not work: it could not take over: IPv6 is down.*; the rest of it works \(all new traffic/,
    );
  });

  test('its probes are answered, but no connection is: off it after ten seconds', () => {
    const bench = new Bench().until(AT);
    bench.open = 9;
    bench.until(AT + 5 * SECOND);
    assert.equal(bench.trying, 'lte', 'young connections may still wait');
    bench.until(AT + 11 * SECOND);
    assert.equal(bench.trying, 'none');
    assert.match(
      bench.last,
      /^error: does not work: probes are answered, but none of 9 connections is \(.* 9 connections, 0 answered/,
    );
  });

  test('the last count may be the one that shows it', () => {
    const bench = new Bench({ ...WEEKLY, forMs: 4 * SECOND }).until(AT);
    bench.open = 9;
    bench.until(AT + 5 * SECOND);
    assert.match(bench.last, /^error: does not work: probes are answered, but none of its connections was/);
  });

  test('strangers who knocked at it before are not held against it', () => {
    const bench = new Bench();
    bench.open = 30;
    bench.until(AT + 2 * MINUTE);
    assert.equal(bench.outcomes.at(-1), 'lte works 0');
  });
});

describe('the first sign of trouble', () => {
  test('not good any more: off it at once, and it does not work', () => {
    const bench = new Bench().until(AT + 10 * SECOND);
    bench.path('lte').verdict = { health: 'degraded', reason: 'loss-high' };
    bench.look();
    assert.equal(bench.trying, 'none');
    assert.match(bench.last, /^error: does not work: IPv4 is degraded, too many probes are lost \(all new traffic for 10 s/);
    bench.path('lte').verdict = UP;
    bench.until(AT + HOUR);
    assert.equal(bench.records.length, 2, 'reported once, not tried again');
  });

  test('an answer is overdue: off it within the same event; what the burst says is the report', () => {
    const bench = new Bench().until(AT + 10 * SECOND);
    bench.overdue();
    assert.equal(bench.trying, 'none');
    bench.look();
    assert.equal(bench.outcomes.length, 1, 'not reported before the burst is over');
    bench.path('lte').suspicion = 'silent';
    bench.look();
    assert.match(bench.last, /^error: does not work: IPv4 has fallen silent/);
  });

  test('a single lost packet puts it off; the third in three tries is a report', () => {
    const bench = new Bench().until(AT);
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const begun = AT + attempt * 11 * MINUTE;
      bench.until(begun + 30 * SECOND);
      assert.equal(bench.trying, 'lte', `try ${attempt}`);
      bench.overdue();
      bench.path('lte').suspicion = 'none';
      bench.until(begun + 11 * MINUTE);
    }
    bench.until(AT + 3 * HOUR);
    assert.deepEqual(bench.outcomes, [
      'lte begun 1',
      'lte put-off 1',
      'lte begun 1',
      'lte put-off 1',
      'lte begun 1',
      'lte broken-off 0',
    ]);
    assert.match(bench.last, /^warning: broken off: an answer was overdue \(IPv4\), as in each of 3 tries/);
  });

  test('a lost packet elsewhere is none of its business', () => {
    const bench = new Bench().until(AT + 10 * SECOND);
    bench.overdue('fibre');
    assert.equal(bench.trying, 'lte');
  });

  test('what it stands in for fails meanwhile: the drill is over, the choice is free', () => {
    const bench = new Bench().until(AT + 10 * SECOND);
    bench.path('fibre').verdict = DOWN;
    bench.look();
    assert.equal(bench.trying, 'none');
    assert.match(bench.last, /^warning: broken off: fibre failed meanwhile/);
  });

  test('forced, disabled, closed, reloaded, slept: over, and the reason is said', () => {
    const stories: readonly (readonly [RegExp, (bench: Bench) => void])[] = [
      [/the administrator forced fibre/, (b) => b.admin.set('fibre', 'forced')],
      [/the administrator disabled it/, (b) => b.admin.set('lte', 'disabled')],
      // As the engine has it: what is closed is disabled for everybody else.
      [/may cost in a month is used up/, (b) => b.admin.set('lte', 'disabled') && b.closed.add('lte')],
      [/the configuration has changed/, (b) => b.drill.configure(null, ['fibre', 'lte'], b.now)],
      [
        /nobody was awake/,
        (b) => {
          b.now += HOUR;
        },
      ],
    ];
    for (const [why, story] of stories) {
      const bench = new Bench().until(AT + 10 * SECOND);
      story(bench);
      bench.look();
      assert.equal(bench.trying, 'none', `${why}`);
      assert.match(bench.last, why);
      assert.equal(bench.outcomes.at(-1), 'lte broken-off 0');
    }
  });

  test('a reload that changes nothing for it does not end it', () => {
    const bench = new Bench().until(AT + 10 * SECOND);
    bench.drill.configure({ ...WEEKLY }, ['fibre', 'lte'], bench.now);
    assert.equal(bench.trying, 'lte');
  });
});

describe('the report', () => {
  test('what went by it, how many were answered, loss and round trips, in words and figures', () => {
    const bench = new Bench();
    [bench.open, bench.replied] = [2, 1];
    bench.until(AT);
    [bench.open, bench.replied] = [14, 12];
    Object.assign(bench.path('lte'), { rttMs: 52.4, loss: 0.02 });
    bench.until(AT + 2 * MINUTE);
    assert.equal(
      bench.last,
      'notice: works (all new traffic for 1 min: 12 connections, 11 answered, 2 % of the probes lost, round trip 52 ms (40 ms before))',
    );
    const record = bench.records.at(-1);
    assert.deepEqual([record?.kind, record?.uplink, record?.family], ['drill', 'lte', 4]);
    assert.deepEqual(record?.data, {
      outcome: 'works',
      left: 0,
      traffic: 'all',
      lastedMs: MINUTE,
      connections4: 12,
      answered4: 11,
      loss4: 0.02,
      rttMs4: 52.4,
      rttBeforeMs4: 40,
    });
  });

  test('a count that never comes holds the report up for five seconds, and is not made up', () => {
    const bench = new Bench();
    bench.answers = false;
    bench.until(AT + MINUTE + 4 * SECOND);
    assert.equal(bench.outcomes.length, 1);
    bench.until(AT + MINUTE + 6 * SECOND);
    assert.equal(bench.records.at(-1)?.data.connections4, null);
    assert.doesNotMatch(bench.last, /connection/);
    const late = new Bench();
    late.answers = false;
    late.until(AT + MINUTE);
    late.count();
    late.until(AT + MINUTE + SECOND);
    assert.equal(late.records.at(-1)?.data.connections4, null, 'nobody knows how many there were before');
  });

  test('what goes by it already is counted before anything else does, but for two seconds at most', () => {
    const bench = new Bench();
    bench.answers = false;
    bench.until(AT);
    assert.deepEqual([bench.outcomes, bench.trying], [['lte begun 1'], 'none']);
    const [count = 0] = bench.asked.splice(0);
    assert.equal(bench.drill.counted({ id: count, open: 3, replied: 3 }), true);
    assert.equal(bench.trying, 'lte');
    const slow = new Bench();
    slow.answers = false;
    slow.until(AT);
    assert.ok(slow.wakes.includes(AT + 2 * SECOND));
    slow.now = AT + 2 * SECOND;
    assert.equal(slow.drill.look(slow.scene, slow.now), true);
    assert.equal(slow.trying, 'lte');
  });

  test('where no connection is remembered, probes alone speak', () => {
    const bench = new Bench();
    bench.remembered = false;
    bench.until(AT + MINUTE);
    assert.match(bench.last, /^notice: works \(all new traffic for 1 min: 0 % of the probes lost, round trip 40 ms/);
  });

  test('both families in one report', () => {
    const bench = new Bench(WEEKLY, ['fibre', 'lte'], [4, 6]);
    bench.until(AT + 2 * MINUTE);
    assert.match(bench.last, /IPv4 no connection went by it, .*; IPv6 no connection went by it, /);
    assert.equal(bench.records.at(-1)?.family, null);
  });
});

test('weights of a shared trial: one of 16 goes by the newcomer, the others keep their shares', () => {
  const weights = fc.array(fc.integer({ min: 1, max: 256 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(weights, (given) => {
      const all = drillWeights(
        given.map((weight, i) => ({ uplink: `u${i}`, weight })),
        'lte',
      );
      const total = all.reduce((sum, m) => sum + m.weight, 0);
      const before = given.reduce((sum, weight) => sum + weight, 0);
      assert.ok(all.every((m) => Number.isInteger(m.weight) && m.weight >= 1 && m.weight <= 256));
      assert.ok(Math.abs((all.at(-1)?.weight ?? 0) / total - 1 / DRILL_SHARE) < 0.01);
      given.forEach((weight, i) => {
        const share = (all[i]?.weight ?? 0) / (total - (all.at(-1)?.weight ?? 0));
        assert.ok(Math.abs(share - weight / before) < 0.02, `${weight} of ${before} became ${share}`);
      });
    }),
  );
  assert.deepEqual(drillWeights([{ uplink: 'fibre', weight: 1 }], 'lte'), [
    { uplink: 'fibre', weight: 15 },
    { uplink: 'lte', weight: 1 },
  ]);
});

test('whatever happens: no traffic on a bad path, never beyond its time, and every beginning is followed by one end', () => {
  const step = fc.record({
    afterMs: fc.integer({ min: 1, max: 20 * MINUTE }),
    what: fc.constantFrom(
      'look',
      'look',
      'order',
      'overdue',
      'settle',
      'bad',
      'good',
      'home-bad',
      'home-good',
      'force',
      'auto',
      'drain',
      'kill',
    ),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), fc.boolean(), (steps, answers) => {
      const bench = new Bench({ ...WEEKLY, everyDays: 1 });
      bench.answers = answers;
      let begun: number | null = null;
      for (const { afterMs, what } of steps) {
        bench.now += afterMs;
        if (what === 'order') bench.order('lte');
        if (what === 'overdue') bench.overdue();
        if (what === 'settle') bench.path('lte').suspicion = 'none';
        if (what === 'bad') bench.path('lte').verdict = DOWN;
        if (what === 'good') bench.path('lte').verdict = UP;
        if (what === 'home-bad') bench.path('fibre').verdict = DOWN;
        if (what === 'home-good') bench.path('fibre').verdict = UP;
        if (what === 'force') bench.admin.set('fibre', 'forced');
        if (what === 'auto') bench.admin.clear();
        if (what === 'drain') bench.draining.add('lte');
        if (what === 'kill') {
          bench.restart({ ...WEEKLY, everyDays: 1 });
          begun = null;
        }
        const told = bench.records.length;
        bench.look();
        const wish = bench.drill.wish;
        if (wish === null) begun = null;
        else begun ??= bench.now;
        if (wish !== null) {
          assert.ok(bench.path('lte').good && bench.path('fibre').good && bench.admin.size === 0, 'on a bad path');
          assert.ok(begun !== null && bench.now - begun < MINUTE, 'for too long');
        }
        assert.ok(bench.records.length - told <= 3);
      }
      let open = 0;
      for (const record of bench.records) {
        const { outcome } = record.data;
        if (outcome === 'begun') open += 1;
        else if (record.data.lastedMs !== 0) open -= 1;
      }
      const kills = steps.filter((s) => s.what === 'kill').length;
      assert.ok(open >= 0 && open <= kills + 1, `${open} without an end`);
    }),
    { numRuns: 300 },
  );
});
