/** `backroute drill` against a control socket whose daemon is played here. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import type { Answer } from '../../../src/api/backend.js';
import { openControlSocket } from '../../../src/api/server.js';
import type { Io } from '../../../src/cli/io.js';
import { plain } from '../../../src/cli/paint.js';
import type { Places } from '../../../src/cli/places.js';
import { createProgram } from '../../../src/cli/program.js';
import { type DrillOrder, drill } from '../../../src/cli/verbs/drill.js';
import type { HistoryEntry } from '../../../src/core/entry.js';
import { calmView, entry, NOON_MS } from '../../support/status-views.js';

const AS_CONFIGURED: DrillOrder = { uplink: null, traffic: null, forMs: null };

interface Stage {
  readonly places: Places;
  readonly commands: string[];
  readonly tell: (entry: HistoryEntry) => void;
  readonly close: () => Promise<void>;
}

/** @param obey what the daemon does with an order, before it answers */
async function stage(t: TestContext, obey: (tell: Stage['tell']) => Answer | Promise<Answer>): Promise<Stage> {
  const dir = mkdtempSync(join(tmpdir(), 'backroute-drill-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const listeners = new Set<Stage['tell']>();
  const tell: Stage['tell'] = (one) => {
    for (const listener of listeners) listener(one);
  };
  const commands: string[] = [];
  const socket = await openControlSocket({
    path: join(dir, 'control.sock'),
    group: null,
    mode: 0o600,
    backend: {
      view: calmView,
      health: () => ({ ok: true, version: '1', pid: 1, uptimeMs: 1, problems: [] }),
      eventsReady: () => Promise.resolve(),
      events: () => [],
      follow: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      command: async (command) => {
        commands.push(JSON.stringify(command));
        return obey(tell);
      },
      reload: () => Promise.resolve({ ok: true, text: '', details: [] }),
    },
  });
  let open = true;
  const close = async (): Promise<void> => {
    if (open) await socket.close();
    open = false;
  };
  t.after(close);
  return { places: { configPath: join(dir, 'none.yaml'), stateDir: dir, runDir: dir }, commands, tell, close };
}

function record(kind: HistoryEntry['kind'], text: string, data: HistoryEntry['data'] = {}): HistoryEntry {
  return { ...entry(NOON_MS), kind, uplink: 'backup', text, data };
}

const begun = (left = 0): HistoryEntry => record('drill', 'is being tried for 30 s', { outcome: 'begun', left });
const report = (outcome: string, left = 0): HistoryEntry => record('drill', `it ${outcome}`, { outcome, left });
const well: Answer = { ok: true, text: 'IPv4 leaves by fast', details: [] };

/** Standard output and error as one text, and what is called with each piece. */
function recorder(listen: (text: string) => void = () => undefined): { readonly io: Io; readonly text: () => string } {
  let all = '';
  const take = (text: string): void => {
    all += stripVTControlCharacters(text);
    listen(all);
  };
  return { io: { out: take, err: take, paint: plain, isTerminal: false }, text: () => all };
}

test('the order goes to the daemon, its records are shown, and its report decides the exit code', async (t) => {
  for (const [outcome, expected] of [
    ['works', 0],
    ['fails', 1],
    ['broken-off', 1],
    ['not-tried', 1],
  ] as const) {
    const { places, commands } = await stage(t, (tell) => {
      // All of it before the order is answered: nothing may be missed.
      for (const one of [begun(), record('config', 'nobody waits for this'), report(outcome)]) tell(one);
      return well;
    });
    const { io, text } = recorder();
    const order: DrillOrder = { uplink: 'backup', traffic: 'all', forMs: 30_000 };
    assert.equal(await drill(places, order, io, new AbortController().signal), expected);
    assert.deepEqual(commands, ['{"verb":"drill","uplink":"backup","traffic":"all","forMs":30000}']);
    assert.match(text(), new RegExp(`backup: is being tried for 30 s\\n.*backup: it ${outcome}\\n$`));
    assert.doesNotMatch(text(), /nobody waits/);
  }
});

test('a report that comes long before the answer to the order is not missed', async (t) => {
  const { places } = await stage(t, async (tell) => {
    tell(report('not-tried'));
    // Turns of the loop in which the stream's bytes arrive, and nobody has asked for them yet.
    for (let turn = 0; turn < 100; turn += 1) await new Promise(setImmediate);
    return well;
  });
  const { io, text } = recorder();
  assert.equal(await drill(places, AS_CONFIGURED, io, new AbortController().signal), 1);
  assert.match(text(), /it not-tried\n$/);
});

test('several uplinks: waits for the last report, and one that fails is enough', async (t) => {
  const { places } = await stage(t, (tell) => {
    for (const one of [begun(1), report('fails', 1), begun(), report('put-off'), begun(), report('works')]) tell(one);
    return well;
  });
  const { io, text } = recorder();
  assert.equal(await drill(places, AS_CONFIGURED, io, new AbortController().signal), 1);
  assert.match(text(), /it fails\n.*tried.*\n.*it put-off\n.*tried.*\n.*it works\n$/);
});

test('a refusal is told, and nothing is waited for', async (t) => {
  const { places } = await stage(t, () => ({ ok: false, text: 'a drill runs already', details: [] }));
  await assert.rejects(drill(places, AS_CONFIGURED, recorder().io, new AbortController().signal), {
    exitCode: 1,
    message: 'a drill runs already',
  });
  await assert.rejects(drill(places, { ...AS_CONFIGURED, uplink: 'fats' }, recorder().io, new AbortController().signal), {
    exitCode: 1,
    message: /no uplink 'fats' \(there are: fast, backup\)/,
  });
});

test('Ctrl-C ends the waiting, not the drill, and says so', async (t) => {
  const { places, commands } = await stage(t, (tell) => {
    tell(begun());
    return well;
  });
  const stop = new AbortController();
  const { io, text } = recorder((all) => {
    if (all.includes('is being tried')) stop.abort();
  });
  assert.equal(await drill(places, AS_CONFIGURED, io, stop.signal), 130);
  assert.match(text(), /The drill goes on\. What comes of it: backroute events\n$/);
  assert.equal(commands.length, 1, 'nothing was taken back');
});

test('a daemon that ends in the middle is 4, as is none at all', async (t) => {
  const { places, close } = await stage(t, (tell) => {
    tell(begun());
    return well;
  });
  const { io } = recorder((all) => {
    if (all.includes('is being tried')) void close();
  });
  await assert.rejects(drill(places, AS_CONFIGURED, io, new AbortController().signal), { exitCode: 4 });
  await assert.rejects(drill(places, AS_CONFIGURED, io, new AbortController().signal), {
    exitCode: 4,
    message: 'no daemon is running',
  });
});

test('the command line: durations with a unit, a share that exists', async (t) => {
  const { places, commands } = await stage(t, (tell) => {
    tell(report('works'));
    return well;
  });
  const codes: number[] = [];
  const run = (...args: string[]): Promise<unknown> =>
    createProgram(recorder().io, {}, (code) => codes.push(code)).parseAsync([
      'node',
      'backroute',
      '--run-dir',
      places.runDir,
      'drill',
      ...args,
    ]);
  await run('backup', '--for', '2m', '--traffic', 'some');
  await run();
  assert.deepEqual(commands, [
    '{"verb":"drill","uplink":"backup","traffic":"some","forMs":120000}',
    '{"verb":"drill","uplink":null,"traffic":null,"forMs":null}',
  ]);
  assert.deepEqual(codes, [0, 0]);
  await assert.rejects(run('--for', '30'), { exitCode: 1, message: /--for: '30': a duration with unit is wanted/ });
  await assert.rejects(run('--for', '2h'), { exitCode: 1, message: /no time for a drill/ });
  await assert.rejects(run('--traffic', 'most'), { exitCode: 1 });
  assert.equal(commands.length, 2);
});
