/**
 * Files that follow the way out: copied as one, checked, reloaded, read back; or put back as one, whatever fails and whenever.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { FilesConfig } from '../../../src/core/services.js';
import { until } from '../../../src/lab/until.js';
import { FollowBench, followInAgent } from '../../support/follow-bench.js';

const isRoot = process.getuid?.() === 0;
const needsRoot = isRoot ? false : 'needs root: gives files to others';

let folder = '';
let state = '';
let bench: FollowBench;
const path = (name: string): string => join(folder, name);
const content = (name: string): string => readFileSync(path(name), 'utf8');
const leftovers = (): string[] => [
  ...readdirSync(folder).filter((name) => name.includes('.backroute')),
  ...(existsSync(join(state, 'following')) ? readdirSync(join(state, 'following')) : []),
];

/** Two files for each of two uplinks; the check refuses the word "wrong", the reload notes what it saw. */
function relay(change: Partial<FilesConfig> = {}): FilesConfig {
  const seen = `cat ${path('one')} ${path('two')}`;
  return {
    kind: 'files',
    name: 'exim',
    copies: {
      fast: [
        { from: path('one.fast'), to: path('one') },
        { from: path('two.fast'), to: path('two') },
      ],
      backup: [
        { from: path('one.backup'), to: path('one') },
        { from: path('two.backup'), to: path('two') },
      ],
    },
    check: ['sh', '-c', `! grep -q wrong ${path('one')} ${path('two')} || { echo refused; exit 1; }`],
    reload: [
      'sh',
      '-c',
      `${seen} > ${path('running.new')} && mv ${path('running.new')} ${path('running')}; echo x >> ${path('reloads')}`,
    ],
    timeoutMs: 20_000,
    ...change,
  };
}
const reloads = (): number => (existsSync(path('reloads')) ? content('reloads').length / 2 : 0);
const running = (): string => content('running').replaceAll('\n', ' ').trim();

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'backroute-files-'));
  state = path('state');
  mkdirSync(state);
  for (const uplink of ['fast', 'backup']) {
    writeFileSync(path(`one.${uplink}`), `one-${uplink}\n`);
    writeFileSync(path(`two.${uplink}`), `two-${uplink}\n`);
  }
  writeFileSync(path('one'), 'one-former\n');
  writeFileSync(path('two'), 'two-former\n');
  bench = new FollowBench({ stateDirectory: state });
});
afterEach(async () => {
  await bench.runner.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('what is done', () => {
  test('copied, checked, reloaded, read back; a second time nothing is touched', async () => {
    assert.deepEqual(await bench.ask(relay(), 'backup'), {
      run: 1,
      ok: true,
      changed: true,
      rolledBack: null,
      superseded: false,
      text: 'exim has the files of backup',
    });
    assert.equal(running(), 'one-backup two-backup');
    const before = statSync(path('one'));
    const again = await bench.ask(relay(), 'backup');
    assert.deepEqual([again.ok, again.changed], [true, false]);
    assert.equal(statSync(path('one')).ino, before.ino);
    assert.equal(reloads(), 1);
    assert.deepEqual(leftovers(), []);
  });

  test('only what differs is written', async () => {
    writeFileSync(path('one'), 'one-backup\n');
    const before = statSync(path('one')).ino;
    await bench.ask(relay(), 'backup');
    assert.equal(statSync(path('one')).ino, before);
    assert.equal(running(), 'one-backup two-backup');
  });

  test('an uplink without files leaves everything as it is', async () => {
    const outcome = await bench.ask(relay(), 'third');
    assert.deepEqual(
      [outcome.ok, outcome.changed, outcome.text],
      [true, false, 'exim: third has no files; nothing had to be changed'],
    );
    assert.equal(content('one'), 'one-former\n');
  });

  test('the mode of what is there stays, the time is of now; a new file has the mode of its source', async () => {
    chmodSync(path('one'), 0o640);
    utimesSync(path('one'), 1, 1);
    rmSync(path('two'));
    chmodSync(path('two.backup'), 0o600);
    await bench.ask(relay(), 'backup');
    assert.equal(statSync(path('one')).mode & 0o7777, 0o640);
    assert.ok(statSync(path('one')).mtimeMs > Date.now() - 60_000);
    assert.equal(statSync(path('two')).mode & 0o7777, 0o600);
  });

  test('the owner and the label stay', { skip: needsRoot }, async () => {
    chownSync(path('one'), 64_321, 64_322);
    chmodSync(path('one'), 0o2640);
    const labelled = setLabel(path('one'), 'system_u:object_r:etc_mail_t:s0');
    await bench.ask(relay(), 'backup');
    const { uid, gid, mode } = statSync(path('one'));
    assert.deepEqual([uid, gid, mode & 0o7777], [64_321, 64_322, 0o2640]);
    if (labelled) assert.equal(label(path('one')), 'system_u:object_r:etc_mail_t:s0');
    assert.equal(content('one'), 'one-backup\n');
  });

  test('a symbolic link stays; the file behind it is replaced', async () => {
    mkdirSync(path('behind'));
    writeFileSync(path('behind/real'), 'one-former\n');
    rmSync(path('one'));
    symlinkSync('behind/real', path('one'));
    rmSync(path('two'));
    symlinkSync('behind/not-yet', path('two'));
    await bench.ask(relay(), 'backup');
    assert.ok(lstatSync(path('one')).isSymbolicLink() && lstatSync(path('two')).isSymbolicLink());
    assert.equal(content('behind/real'), 'one-backup\n');
    assert.equal(content('behind/not-yet'), 'two-backup\n');
  });
});

/** Where no SELinux rules, the label is an attribute like any other. False where nobody can set it. */
function setLabel(file: string, value: string): boolean {
  try {
    execFileSync(
      'python3',
      ['-c', `import os,sys; os.setxattr(sys.argv[1], 'security.selinux', sys.argv[2].encode())`, file, value],
      {
        stdio: 'ignore',
      },
    );
    return true;
  } catch {
    return false;
  }
}

function label(file: string): string {
  return execFileSync('python3', ['-c', `import os,sys; print(os.getxattr(sys.argv[1], 'security.selinux').decode())`, file], {
    encoding: 'utf8',
  }).trim();
}

describe('what fails is undone as one', () => {
  test('the check refuses: everything as it was, reloaded once more', async () => {
    writeFileSync(path('two.backup'), 'wrong\n');
    const outcome = await bench.ask(relay(), 'backup');
    assert.deepEqual(outcome, {
      run: 1,
      ok: false,
      changed: false,
      rolledBack: true,
      superseded: false,
      text: 'sh failed with code 1: refused; the former state stands again',
    });
    assert.equal(running(), 'one-former two-former');
    assert.deepEqual(leftovers(), []);
  });

  test('the reload fails: files back, reloaded', async () => {
    const reload = ['sh', '-c', `grep -q former ${path('one')} && touch ${path('reloaded-former')}`];
    const outcome = await bench.ask(relay({ reload }), 'backup');
    assert.deepEqual([outcome.ok, outcome.rolledBack], [false, true]);
    assert.equal(content('two'), 'two-former\n');
    assert.ok(existsSync(path('reloaded-former')));
  });

  test('the reload fails on the way back as well: told, and the next wish starts from the journal', async () => {
    const outcome = await bench.ask(relay({ reload: ['false'] }), 'backup');
    assert.deepEqual([outcome.ok, outcome.rolledBack], [false, false]);
    assert.match(outcome.text, /false failed with code 1; and the former state could NOT be put back: false failed/);
    assert.equal(content('one'), 'one-former\n');
    assert.deepEqual(leftovers(), ['exim.json']);
    // What stands is what fast wants; whether the service knows it is not sure.
    writeFileSync(path('one.fast'), 'one-former\n');
    writeFileSync(path('two.fast'), 'two-former\n');
    const after = await bench.ask(relay(), 'fast');
    assert.deepEqual([after.ok, after.changed, reloads()], [true, true, 1]);
    assert.deepEqual(leftovers(), []);
  });

  test('a file that was not there is removed again', async () => {
    rmSync(path('one'));
    writeFileSync(path('two.backup'), 'wrong\n');
    const outcome = await bench.ask(relay({ reload: null }), 'backup');
    assert.equal(outcome.rolledBack, true);
    assert.ok(!existsSync(path('one')));
    assert.equal(content('two'), 'two-former\n');
  });

  test('a missing source, a target that is a folder, a command that is not there', async () => {
    rmSync(path('two.backup'));
    const missing = await bench.ask(relay(), 'backup');
    assert.deepEqual([missing.ok, missing.rolledBack], [false, null]);
    assert.equal(missing.text, `${path('two.backup')}: is not there, nothing was copied`);
    assert.equal(content('one'), 'one-former\n');

    writeFileSync(path('two.backup'), 'two-backup\n');
    rmSync(path('two'));
    mkdirSync(path('two'));
    assert.match((await bench.ask(relay(), 'backup')).text, /two: is a directory/);
    assert.equal(content('one'), 'one-former\n');

    rmSync(path('two'), { recursive: true });
    const unknown = await bench.ask(relay({ check: ['no-such-check'] }), 'backup');
    assert.deepEqual([unknown.ok, unknown.rolledBack], [false, true]);
    assert.match(unknown.text, /^no-such-check was not found/);
  });

  test('somebody writes the target between the change and the reading: told and put back', async () => {
    const reload = ['sh', '-c', `grep -q backup ${path('one')} && echo mine > ${path('one')}; true`];
    const outcome = await bench.ask(relay({ reload }), 'backup');
    assert.match(outcome.text, /one: read back otherwise than it was written; the former state stands again/);
    assert.equal(content('one'), 'one-former\n');
  });

  test('a state folder that takes nothing: nothing is changed', async () => {
    rmSync(state, { recursive: true });
    writeFileSync(state, 'in the way');
    const outcome = await bench.ask(relay(), 'backup');
    assert.deepEqual([outcome.ok, outcome.changed, outcome.rolledBack], [false, false, null]);
    assert.equal(content('one'), 'one-former\n');
  });

  test('a hanging check is ended and undone', async () => {
    const outcome = await bench.ask(relay({ check: ['sleep', '60'], timeoutMs: 300 }), 'backup');
    assert.match(outcome.text, /^sleep did not end in time; the former state/);
    assert.equal(running(), 'one-former two-former');
  });
});

describe('a later wish', () => {
  test('supersedes the running one at its check and never interleaves', async () => {
    const slow = relay({ check: ['sh', '-c', `touch ${path('checking')}; sleep 60`] });
    const first = bench.ask(slow, 'backup');
    assert.ok(await until(() => existsSync(path('checking')), 5_000));
    const second = bench.ask(relay(), 'third');
    const third = bench.ask(relay(), 'fast');
    const outcomes = await Promise.all([first, second, third]);
    assert.deepEqual(
      outcomes.map(({ ok, superseded, rolledBack }) => [ok, superseded, rolledBack]),
      [
        [false, true, true],
        [false, true, null],
        [true, false, null],
      ],
    );
    assert.equal(running(), 'one-fast two-fast');
    assert.ok(bench.steps.indexOf('reload-former') < bench.steps.lastIndexOf('look'));
    assert.deepEqual(leftovers(), []);
  });

  test('a reload that has begun is finished', async () => {
    const go = path('go');
    const reload = ['sh', '-c', `touch ${path('reloading')}; while ! test -e ${go}; do sleep 0.02; done`];
    const first = bench.ask(relay({ reload }), 'backup');
    assert.ok(await until(() => existsSync(path('reloading')), 5_000));
    bench.runner.cancel(bench.lastRun);
    writeFileSync(go, '');
    const outcome = await first;
    assert.deepEqual([outcome.ok, outcome.changed, outcome.superseded], [true, true, true]);
    assert.equal(content('two'), 'two-backup\n');
  });

  test('one that is cancelled before it touched anything leaves everything alone', async () => {
    const ask = bench.ask(relay(), 'backup');
    bench.runner.cancel(bench.lastRun);
    bench.runner.cancel(99);
    const outcome = await ask;
    assert.deepEqual([outcome.ok, outcome.superseded, outcome.changed, outcome.rolledBack], [false, true, false, null]);
    assert.equal(content('one'), 'one-former\n');
    assert.equal(reloads(), 0);
  });

  test('different followers run beside each other', async () => {
    const slow = bench.ask(relay({ check: ['sleep', '60'] }), 'backup');
    const other = {
      ...relay({ check: null, reload: null }),
      name: 'other',
      copies: { fast: [{ from: path('one.fast'), to: path('x') }] },
    };
    assert.equal((await bench.ask(other, 'fast')).ok, true);
    bench.runner.cancel(1);
    assert.equal((await slow).superseded, true);
  });

  test('after close everything is answered and nothing begins', async () => {
    const asked = [bench.ask(relay({ check: ['sleep', '60'] }), 'backup'), bench.ask(relay(), 'fast')];
    await bench.runner.close();
    assert.deepEqual(
      (await Promise.all(asked)).map((o) => o.superseded),
      [true, true],
    );
    assert.equal((await bench.ask(relay(), 'fast')).superseded, true);
    assert.equal(content('one'), 'one-former\n');
  });
});

describe('killed at any step', () => {
  const STEPS = ['look', 'journal', 'change one', 'change two', 'check', 'reload', 'verify', 'settle', 'drop'] as const;
  const WAY_BACK = ['restore one', 'restore two', 'reload-former', 'drop'] as const;
  const named = (step: string): string => step.replace(/(one|two)$/, (name) => path(name));
  const ask = (follower: FilesConfig, uplink: string) => ({ run: 1, follower, uplink });

  for (const step of STEPS) {
    test(`at "${step}": the next wish for the same uplink holds`, { timeout: 30_000 }, async () => {
      const killed = await followInAgent({ stateDirectory: state, ask: ask(relay(), 'backup'), killAt: named(step) });
      assert.deepEqual([killed.signal, killed.outcome, killed.steps.at(-1)], ['SIGKILL', null, named(step)]);
      const outcome = await bench.ask(relay(), 'backup');
      assert.equal(outcome.ok, true, outcome.text);
      assert.equal(running(), 'one-backup two-backup');
      assert.equal(content('one'), 'one-backup\n');
      assert.deepEqual(leftovers(), []);
    });

    test(`at "${step}": a wish for another uplink that fails leads back to before the killed one, or to what it reached`, async () => {
      const reached = step === 'drop';
      await followInAgent({ stateDirectory: state, ask: ask(relay(), 'backup'), killAt: named(step) });
      writeFileSync(path('two.fast'), 'wrong\n');
      const outcome = await bench.ask(relay(), 'fast');
      assert.deepEqual([outcome.ok, outcome.rolledBack], [false, true], outcome.text);
      assert.equal(content('one'), reached ? 'one-backup\n' : 'one-former\n');
      assert.equal(running(), reached ? 'one-backup two-backup' : 'one-former two-former');
      assert.deepEqual(leftovers(), []);
    });
  }

  for (const step of WAY_BACK) {
    test(`at "${step}" on the way back: the next wish holds`, async () => {
      writeFileSync(path('two.backup'), 'wrong\n');
      const killed = await followInAgent({ stateDirectory: state, ask: ask(relay(), 'backup'), killAt: named(step) });
      assert.equal(killed.signal, 'SIGKILL');
      const outcome = await bench.ask(relay(), 'fast');
      assert.equal(outcome.ok, true, outcome.text);
      assert.equal(running(), 'one-fast two-fast');
      assert.deepEqual(leftovers(), []);
    });
  }

  test('what the killed one had touched and the next does not speak of is put back', async () => {
    const follower = relay({
      copies: { backup: relay().copies.backup ?? [], fast: [{ from: path('one.fast'), to: path('one') }] },
    });
    await followInAgent({ stateDirectory: state, ask: ask(follower, 'backup'), killAt: 'check' });
    assert.equal(content('two'), 'two-backup\n');
    assert.equal((await bench.ask(follower, 'fast')).ok, true);
    assert.equal(running(), 'one-fast two-former');
  });

  test('a wish that cannot even be read undoes the half of the killed one', async () => {
    await followInAgent({ stateDirectory: state, ask: ask(relay(), 'backup'), killAt: named('change one') });
    rmSync(path('two.fast'));
    const outcome = await bench.ask(relay(), 'fast');
    assert.deepEqual([outcome.ok, outcome.rolledBack], [false, true], outcome.text);
    assert.match(outcome.text, /two\.fast: is not there, nothing was copied; the former state stands again/);
    assert.equal(running(), 'one-former two-former');
    assert.deepEqual(leftovers(), []);
  });

  test('a journal that is no work of ours is put aside', async () => {
    mkdirSync(join(state, 'following'));
    writeFileSync(join(state, 'following/exim.json'), '{"version":1,"former":{"/etc/x":7}}');
    assert.equal((await bench.ask(relay(), 'backup')).ok, true);
    assert.deepEqual(leftovers(), ['exim.json.damaged']);
  });

  test('a wish for an uplink that wants nothing undoes the half of the killed one', async () => {
    await followInAgent({ stateDirectory: state, ask: ask(relay(), 'backup'), killAt: named('change one') });
    assert.equal((await bench.ask(relay(), 'third')).ok, true);
    assert.equal(running(), 'one-former two-former');
    assert.deepEqual(leftovers(), []);
  });
});

describe('the dry run', () => {
  test('tells each change and command, and changes nothing', async () => {
    rmSync(path('two'));
    const lines = await bench.runner.describe({ run: 1, follower: relay({ reload: ['exim-reload', 'now'] }), uplink: 'backup' });
    assert.deepEqual(lines.slice(0, 2), [
      `exim: would replace ${path('one')} by ${path('one.backup')}`,
      `exim: would create ${path('two')} by ${path('two.backup')}`,
    ]);
    assert.match(lines[2] ?? '', /would run the check: sh -c/);
    assert.equal(lines[3], 'exim: would run the reload: exim-reload now');
    assert.ok(!existsSync(path('two')));
    assert.deepEqual(readdirSync(state), []);
  });
});
