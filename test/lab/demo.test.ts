/**
 * The demo as a person starts it: it tells a plausible story and leaves nothing behind, however it is ended. Needs root.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { missingRequirement } from '../../src/lab/requirements.js';
import { run, toolEnvironment } from '../../src/lab/run.js';
import { until } from '../../src/lab/until.js';

const skip = missingRequirement()?.message ?? false;
const PROGRAM = fileURLToPath(new URL('../../../bin/backroute', import.meta.url));
const stateDir = mkdtempSync(join(tmpdir(), 'demo-test-'));
after(() => rmSync(stateDir, { recursive: true, force: true }));

interface Show {
  readonly child: ChildProcess;
  readonly name: string;
  readonly dir: string;
  text(): string;
  /** Waits until the output holds this. */
  says(wanted: RegExp, withinMs: number): Promise<void>;
  /** Resolves with the exit code, or the signal's name. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

function show(name: string, options: readonly string[] = [], starter: number | null = null): Show {
  const dir = join(stateDir, name);
  const environment = { ...toolEnvironment(), ...(starter !== null && { BACKROUTE_STARTER: String(starter) }) };
  const argv = [PROGRAM, 'lab', 'demo', '--name', name, '--state-dir', dir, ...options];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'], env: environment });
  after(() => child.kill('SIGTERM'));
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => {
      said += String(chunk);
    });
  }
  return {
    child,
    name,
    dir,
    text: () => said,
    async says(wanted, withinMs) {
      const found = await until(() => wanted.test(said) || child.exitCode !== null, withinMs);
      assert.ok(found && wanted.test(said), `not within ${withinMs} ms: ${wanted}\n${said}`);
    },
    ended: once(child, 'close').then(([code, signal]) => code ?? signal),
  };
}

/** What is left of a demo: namespaces, files, programs that name its folder. */
function traces({ name, dir }: Show): string[] {
  const found: string[] = [];
  for (const place of ['/run/netns', '/etc/netns']) {
    if (existsSync(place)) found.push(...readdirSync(place).filter((entry) => entry.startsWith(`br-${name}-`)));
  }
  if (existsSync(dir)) found.push(...readdirSync(dir));
  for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      if (words.some((word) => word.startsWith(dir))) found.push(`process ${pid}: ${words.join(' ')}`);
    } catch {
      // It ended between the two looks.
    }
  }
  return found;
}

async function assertGone(demo: Show): Promise<void> {
  await until(() => traces(demo).length === 0, 5000);
  assert.deepEqual(traces(demo), []);
}

/** The figures of the closing summary. */
function figures(text: string): { failoverMs: number; failbackMs: number; lost: number[]; gapsMs: number[] } {
  const number = (word: string | undefined): number => Number(word?.replaceAll(',', ''));
  const line = (name: string) => {
    const found = new RegExp(
      `^ {3}${name} {2}([\\d,]+) ms after .* lost (no packet|[\\d,]+ packets?); its longest gap was ([\\d,]+) ms$`,
      'm',
    ).exec(text);
    assert.ok(found, `no line for ${name} in the summary:\n${text}`);
    return {
      afterMs: number(found[1]),
      lost: found[2] === 'no packet' ? 0 : number(found[2]?.split(' ')[0]),
      gapMs: number(found[3]),
    };
  };
  const [over, back] = [line('failover'), line('failback')];
  return { failoverMs: over.afterMs, failbackMs: back.afterMs, lost: [over.lost, back.lost], gapsMs: [over.gapMs, back.gapMs] };
}

function assertPlausible(text: string): void {
  const { failoverMs, failbackMs, lost, gapsMs } = figures(text);
  // A second of patience; detection takes an interval and two deadlines at most; the rest is a busy machine.
  assert.ok(failoverMs >= 900 && failoverMs < 4000, `failover after ${failoverMs} ms`);
  assert.ok(failbackMs >= 5000 && failbackMs < 9000, `failback after ${failbackMs} ms`);
  const [lostAway = 0, lostBack = 0] = lost;
  const [gapAwayMs = 0, gapBackMs = 0] = gapsMs;
  assert.ok(Math.abs(gapAwayMs - failoverMs) < 500, `a gap of ${gapAwayMs} ms for a failover after ${failoverMs} ms`);
  // One packet each 5 ms, and a few that the meter could not send in time.
  assert.ok(lostAway > gapAwayMs / 10 && lostAway < gapAwayMs / 5 + 50, `${lostAway} packets lost in ${gapAwayMs} ms`);
  assert.equal(lostBack, 0, 'failback loses nothing');
  assert.ok(gapBackMs < 500, `a gap of ${gapBackMs} ms at the failback`);
}

describe('a whole story', { skip, concurrency: true, timeout: 90_000 }, () => {
  test('failover, repair, failback; then everything is gone, and the exit code is 0', async () => {
    const demo = show('story');
    assert.equal(await demo.ended, 0, demo.text());
    const text = demo.text();
    const order = ['start', 'ready', 'cut', 'failover', 'repair', 'recovery', 'failback'];
    const labels = [...text.matchAll(/^ *(\d+\.\d\d) s {2}(\w+) /gm)];
    assert.deepEqual(
      labels.map((found) => found[2]),
      order,
    );
    const times = labels.map((found) => Number(found[1]));
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    );
    assert.match(
      text,
      /fast -> backup: the gateway answers, but nothing beyond it does\n.*\n {21}default via 192\.168\.1\.1 dev/,
    );
    assert.match(text, /backup -> fast: the preferred uplink is good again\n.*\n {21}default via 192\.168\.1\.253 dev/);
    assertPlausible(text);
    assert.ok(!text.includes('\u001b'), 'no colours where there is no terminal');
    await assertGone(demo);
  });

  test('--keep stays, tells what happens to it, and Ctrl-C ends it with 0', async () => {
    const demo = show('kept', ['--keep']);
    await demo.says(/Ctrl-C ends it/, 60_000);
    assertPlausible(demo.text());
    const told = demo.text().length;
    const command = /^ +(bin\/backroute lab cut fast [^\n]*?) {3,}its router is off$/m.exec(demo.text())?.[1];
    assert.ok(command !== undefined, demo.text());
    await run([process.execPath, PROGRAM, ...command.split(' ').slice(1)]);
    const after = () => demo.text().slice(told);
    assert.ok(await until(() => /the client lost \d+ packets/.test(after()), 15_000), after());
    assert.match(after(), /failover +fast -> backup: the gateway itself does not answer/);
    demo.child.kill('SIGINT');
    assert.equal(await demo.ended, 0, demo.text());
    await assertGone(demo);
  });
});

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
  ['SIGKILL', 'SIGKILL'],
] as const) {
  for (const moment of [/Backroute demo/, /ready +fast/]) {
    test(`${signal} at "${moment.source}" leaves nothing`, { skip, timeout: 60_000 }, async () => {
      const demo = show(`${signal.toLowerCase()}-${moment.source.length}`);
      await demo.says(moment, 20_000);
      demo.child.kill(signal);
      assert.equal(await demo.ended, code, demo.text());
      await assertGone(demo);
    });
  }
}

test('it ends with the `npm start` that began it, even one that was killed', { skip, timeout: 60_000 }, async () => {
  const starter = spawn('sleep', ['60'], { stdio: 'ignore' });
  after(() => starter.kill('SIGKILL'));
  assert.ok(starter.pid !== undefined);
  const demo = show('orphan', ['--keep'], starter.pid);
  await demo.says(/ready +fast/, 20_000);
  starter.kill('SIGKILL');
  assert.equal(await demo.ended, 129, demo.text());
  await assertGone(demo);
});

/** The daemon is among them for sure; a tool that it had just started may have ended meanwhile. */
function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

test('a daemon that dies is told with its last words, exit code 1', { skip, timeout: 60_000 }, async () => {
  const demo = show('bereft');
  await demo.says(/ready +fast/, 20_000);
  const { stdout } = await run(['ip', 'netns', 'pids', `br-${demo.name}-gateway`]);
  for (const pid of stdout.trim().split('\n')) killIfThere(Number(pid));
  assert.equal(await demo.ended, 1, demo.text());
  assert.match(demo.text(), /The demo failed: backroute run has ended by itself \(SIGKILL\)\n {2}-> the daemon's last words:/);
  await assertGone(demo);
});
