/**
 * Hooks run one after another, know the facts, and never hold anybody up, whatever they do.
 */
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { type HookReport, HookRunner } from '../../../src/action/hooks.js';
import type { Notice } from '../../../src/core/action.js';
import type { HooksConfig } from '../../../src/core/services.js';
import { until } from '../../../src/lab/until.js';
import { isRunning } from '../../support/is-running.js';

let folder = '';
let reports: HookReport[] = [];
let runner: HookRunner;
const path = (name: string): string => join(folder, name);
const read = (name: string): string => (existsSync(path(name)) ? readFileSync(path(name), 'utf8') : '');
const said = (hook: string | null): string[] => reports.filter((report) => report.hook === hook).map(({ text }) => text);
const comes = async (what: string, is: () => boolean): Promise<void> => assert.ok(await until(is, 10_000), what);

function hook(name: string, script: string, mode = 0o755): string {
  const file = path(`hooks/${name}`);
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, mode);
  return file;
}

function config(change: Partial<HooksConfig> = {}): HooksConfig {
  return { directory: path('hooks'), commands: [], topics: ['health', 'switch'], timeoutMs: 30_000, ...change };
}

function start(change: Partial<HooksConfig> = {}): void {
  runner = new HookRunner(config(change), { report: (report) => reports.push(report), graceMs: 200 });
}

function notice(change: Partial<Notice> = {}): Notice {
  return {
    id: 'one',
    thread: 'one',
    wallMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
    topic: 'switch',
    severity: 'warning',
    uplink: 'backup',
    family: 4,
    from: 'fast',
    to: 'backup',
    reason: 'upstream-silent',
    sinceWallMs: Date.UTC(2026, 0, 2, 3, 4, 5),
    outageMs: null,
    subject: 'the way out is now backup; "fast" $(is) silent',
    text: ['fast is silent.'],
    active: [
      { family: 4, uplink: 'backup' },
      { family: 6, uplink: null },
    ],
    figures: [],
    folded: 1,
    ...change,
  };
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'backroute-hooks-'));
  mkdirSync(path('hooks'));
  reports = [];
});
afterEach(async () => {
  await runner.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('what a hook knows', () => {
  test('facts in the environment, the notice as JSON on standard input, nothing else', async () => {
    hook('facts', `env | sort > ${path('env')}; cat > ${path('input')}; echo told; echo complained >&2`);
    start();
    runner.notify(notice());
    await comes('its output', () => said('facts').length === 2);
    assert.deepEqual(JSON.parse(read('input')), notice());
    const facts = read('env')
      .split('\n')
      .filter((line) => line.startsWith('BACKROUTE_'));
    assert.deepEqual(facts, [
      'BACKROUTE_ACTIVE_4=backup',
      'BACKROUTE_ACTIVE_6=',
      'BACKROUTE_EVENT=switch',
      'BACKROUTE_FAMILY=4',
      'BACKROUTE_FROM=fast',
      'BACKROUTE_ID=one',
      'BACKROUTE_OUTAGE_SECONDS=',
      'BACKROUTE_REASON=upstream-silent',
      'BACKROUTE_SEVERITY=warning',
      'BACKROUTE_SINCE=2026-01-02T03:04:05.000Z',
      'BACKROUTE_SUBJECT=the way out is now backup; "fast" $(is) silent',
      'BACKROUTE_THREAD=one',
      'BACKROUTE_TIME=2026-01-02T03:04:05.678Z',
      'BACKROUTE_TO=backup',
      'BACKROUTE_UPLINK=backup',
    ]);
    assert.deepEqual(said('facts').sort(), ['complained', 'told']);
  });

  test('how long the outage was; only the topics asked for', async () => {
    hook('outage', 'echo "$BACKROUTE_EVENT $BACKROUTE_OUTAGE_SECONDS"');
    start();
    runner.notify(notice({ topic: 'problem' }));
    runner.notify(notice({ topic: 'health', outageMs: 61_234 }));
    await comes('its output', () => said('outage').length > 0);
    assert.deepEqual(said('outage'), ['health 61.234']);
  });
});

describe('which run, and in which order', () => {
  test('the directory in the order of names, then the commands; all of one event before the next', async () => {
    const note = `echo "$BACKROUTE_ID $(basename $0)" >> ${path('order')}`;
    hook('20-second', `sleep 0.05; ${note}`);
    hook('10-first', `sleep 0.1; ${note}`);
    hook('Z', note);
    const named = hook('named.sh', `${note} $1`);
    start({ commands: [[named, 'x'], ['no-such-hook']] });
    runner.notify(notice({ id: 'one' }));
    runner.notify(notice({ id: 'two' }));
    await comes('both events', () => said('no-such-hook').length === 2);
    const one = ['one 10-first', 'one 20-second', 'one Z', 'one named.sh x'];
    assert.deepEqual(read('order').trim().split('\n'), [...one, ...one.map((line) => line.replace('one', 'two'))]);
    assert.deepEqual(said('no-such-hook'), ['no-such-hook was not found', 'no-such-hook was not found']);
  });

  test('names with dots and folders are passed over; what is not safe or not executable is refused and told once', async () => {
    hook('old.bak', `touch ${path('bak')}`);
    mkdirSync(path('hooks/folder'));
    hook('open', `touch ${path('open')}`, 0o757);
    hook('plain', `touch ${path('plain')}`, 0o644);
    symlinkSync('nowhere', path('hooks/dangling'));
    hook('good', 'echo ran');
    const foreign = process.getuid?.() === 0;
    if (foreign) chownSync(hook('theirs', `touch ${path('theirs')}`), 64_321, 0);
    start();
    runner.notify(notice());
    runner.notify(notice());
    await comes('both runs', () => said('good').length === 2);
    assert.deepEqual(said(null), [
      `${path('hooks/dangling')}: not run: ENOENT`,
      `${path('hooks/open')}: not run: it may be written by anybody (chmod o-w)`,
      `${path('hooks/plain')}: not run: it is not executable (chmod +x)`,
      ...(foreign ? [`${path('hooks/theirs')}: not run: it belongs to user 64321, not to root`] : []),
    ]);
    for (const name of ['bak', 'open', 'plain', 'theirs']) assert.ok(!existsSync(path(name)), name);
  });

  test('a directory that anybody may write, or that is not there', async () => {
    hook('good', `touch ${path('ran')}`);
    chmodSync(path('hooks'), 0o777);
    start({ commands: [['echo', 'named']] });
    runner.notify(notice());
    await comes('the command', () => said('echo').length === 1);
    assert.deepEqual(said(null), [`${path('hooks')}: no hook in it is run: it may be written by anybody (chmod o-w)`]);
    runner.configure(config({ directory: path('gone'), commands: [['echo', 'named']] }));
    runner.notify(notice());
    await comes('the command', () => said('echo').length === 2);
    assert.equal(said(null)[1], `${path('gone')}: no hooks: there is no such directory`);
    assert.ok(!existsSync(path('ran')));
  });
});

describe('hooks that behave badly', () => {
  test('one that sleeps for a minute, one that forks, one that floods: the loop stands still for none of them', async () => {
    hook('a-sleeper', `sleep 60 & echo $! > ${path('pid')}; wait`);
    hook('b-forker', `sleep 60 & echo $! > ${path('forked')}; echo forked`);
    hook('c-flood', 'yes x | head -c 3000000');
    start({ timeoutMs: 300 });
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const before = performance.now();
    runner.notify(notice());
    const notifyMs = performance.now() - before;
    await comes('the last one', () => said('c-flood').length > 0);
    delay.disable();
    // Nothing is begun within the call.
    assert.ok(notifyMs < 5, `notify took ${notifyMs} ms`);
    assert.ok(delay.max / 1e6 < 150, `the loop stood still for ${delay.max / 1e6} ms`);
    assert.deepEqual(said('a-sleeper'), ['a-sleeper did not end in time']);
    assert.deepEqual(said('b-forker'), ['forked']);
    assert.equal(said('c-flood').length, 21);
    for (const name of ['pid', 'forked']) assert.ok(!isRunning(Number(read(name))), name);
  });

  test('the queue is bounded: the oldest are dropped, and that is told', async () => {
    hook('slow', `echo $BACKROUTE_ID; while ! test -e ${path('go')}; do sleep 0.01; done`);
    start();
    for (let i = 0; i < 150; i++) runner.notify(notice({ id: String(i) }));
    writeFileSync(path('go'), '');
    await comes('the last event', () => said('slow').includes('149'));
    const ran = said('slow').map(Number);
    assert.deepEqual(
      ran,
      Array.from({ length: 100 }, (_, i) => i + 50),
    );
    assert.deepEqual(said(null), ['50 events were dropped: the hooks take longer than events come']);
  });

  test('one that fails, is killed, or reads nothing', async () => {
    hook('a-fails', 'echo sorry; exit 4');
    hook('b-dies', 'kill -SEGV $$');
    hook('c-deaf', 'exec < /dev/null; echo fine');
    start();
    runner.notify(notice({ text: ['x'.repeat(1_000_000)] }));
    await comes('the last one', () => said('c-deaf').length === 1);
    assert.deepEqual(said('a-fails'), ['sorry', 'a-fails failed with code 4']);
    assert.deepEqual(said('b-dies'), ['b-dies was ended by SIGSEGV']);
  });

  test('close ends the running one and forgets the rest', async () => {
    hook('sleeper', `echo x >> ${path('started')}; sleep 60`);
    start();
    for (let i = 0; i < 3; i++) runner.notify(notice());
    await comes('its start', () => read('started') !== '');
    await runner.close();
    runner.notify(notice());
    assert.equal(read('started'), 'x\n');
  });

  test('a report that throws keeps no hook from running', async () => {
    hook('a', `echo a; touch ${path('a')}`);
    hook('b', `touch ${path('b')}`);
    const report = (): void => {
      throw new Error('the log is full');
    };
    runner = new HookRunner(config(), { report });
    runner.notify(notice());
    await comes('the second one', () => existsSync(path('b')));
  });
});
