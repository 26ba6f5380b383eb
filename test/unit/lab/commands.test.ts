/** The lab's verbs when something is wrong: what is said, without making anything. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { labCut, labDown, labErrorText, labMend, labStatus, labUp } from '../../../src/lab/commands.js';
import { LabError } from '../../../src/lab/errors.js';
import { identify, isAlive } from '../../../src/lab/processes.js';
import { createState, type LabState, listLabs } from '../../../src/lab/state.js';

const stateDir = mkdtempSync(join(tmpdir(), 'lab-commands-'));
after(() => rmSync(stateDir, { recursive: true, force: true }));

const discard = () => {};

function labOnPaper(name: string): LabState {
  const namespaces = { gateway: `br-${name}-never-made` };
  const builder = identify(process.pid);
  assert.ok(builder !== null);
  return {
    version: 1,
    name,
    topology: 'classic',
    createdAt: '2026-01-01T00:00:00Z',
    builder,
    tied: true,
    complete: true,
    namespaces,
    links: {},
    failures: {},
  };
}

async function refusal(promise: Promise<void>): Promise<LabError> {
  const error: unknown = await promise.then(
    () => null,
    (reason) => reason,
  );
  assert.ok(error instanceof LabError, String(error));
  return error;
}

test('without a lab every verb says how to get one', async () => {
  for (const verb of [
    labCut({ uplink: 'fast', stateDir }, discard),
    labMend({ uplink: 'fast', stateDir }, discard),
    labDown({ stateDir }, discard),
  ]) {
    const error = await refusal(verb);
    assert.equal(labErrorText(error), 'there is no lab\n  -> build one with `backroute lab up`\n');
  }
  let said = '';
  await labStatus({ stateDir }, (text) => {
    said += text;
  });
  assert.match(said, /There is no lab/);
});

test('an unknown topology is answered with the known ones', async () => {
  const error = await refusal(labUp({ topology: 'clasic', stateDir }, discard));
  assert.equal(error.remedy, 'there are: classic, two-nic, three-uplinks, office, prefixes, point-to-point, same-gateway');
});

test('unknown uplinks and failures, missing numbers, and a cut that the topology has not', async () => {
  const dir = join(stateDir, 'wrong');
  createState(dir, labOnPaper('paper'));
  const wrong = (options: object) => refusal(labCut({ uplink: 'fast', stateDir: dir, ...options }, discard));
  assert.equal((await wrong({ uplink: 'fats' })).remedy, 'its uplinks are: fast, backup');
  assert.match((await wrong({ kind: 'explode' })).remedy ?? '', /silent, router, carrier/);
  assert.match((await wrong({ kind: 'loss' })).message, /percentage/);
  assert.match((await wrong({ kind: 'loss', lossPercent: 130 })).message, /percentage/);
  assert.match((await wrong({ kind: 'slow' })).message, /delay/);
  assert.match((await wrong({ kind: 'carrier' })).message, /share the gateway's one interface/);
});

test('one lab needs no name, several do; a name is taken once', async () => {
  const dir = join(stateDir, 'several');
  createState(dir, labOnPaper('one'));
  assert.throws(() => createState(dir, labOnPaper('one')), /there is a lab "one" already/);
  createState(dir, labOnPaper('two'));
  assert.match((await refusal(labMend({ uplink: 'fast', stateDir: dir }, discard))).remedy ?? '', /--name: one, two/);
  assert.match((await refusal(labMend({ uplink: 'fast', stateDir: dir, name: 'three' }, discard))).remedy ?? '', /one, two/);
});

test("a running process's lab is not taken down without force", async () => {
  const dir = join(stateDir, 'owned');
  createState(dir, labOnPaper('owned'));
  assert.match((await refusal(labDown({ stateDir: dir }, discard))).message, new RegExp(`running process ${process.pid}`));
  assert.deepEqual(listLabs(dir), ['owned']);
});

test('a damaged state file is told, not crashed on', async () => {
  const dir = join(stateDir, 'damaged');
  mkdirSync(dir);
  writeFileSync(join(dir, 'x.json'), '{');
  assert.match((await refusal(labDown({ stateDir: dir }, discard))).message, /x\.json is damaged/);
  assert.deepEqual(readdirSync(dir), ['x.json']);
});

test('a recycled pid is not the same process', () => {
  const self = identify(process.pid);
  assert.ok(self !== null && isAlive(self));
  assert.equal(isAlive({ ...self, startTicks: '1' }), false);
  assert.equal(identify(2 ** 22 + 1), null);
});

test('without root, building says what is missing', { skip: process.getuid?.() === 0 ? 'runs as root' : false }, async () => {
  assert.match((await refusal(labUp({ stateDir }, discard))).message, /needs root/);
});
