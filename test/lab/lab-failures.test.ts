/** Each kind of failure looks from the gateway as it should, and mending ends it. Needs root. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Lab } from '../../src/lab/lab.js';
import { missingRequirement } from '../../src/lab/requirements.js';
import { until } from '../../src/lab/until.js';

const skip = missingRequirement()?.message ?? false;
const stateDir = mkdtempSync(join(tmpdir(), 'lab-failures-'));
let classic: Lab;
let twoNic: Lab;

before(async () => {
  if (skip) return;
  [classic, twoNic] = await Promise.all([Lab.create('classic', { stateDir }), Lab.create('two-nic', { stateDir })]);
});
after(async () => {
  if (!skip) await Promise.all([classic.destroy(), twoNic.destroy()]);
  rmSync(stateDir, { recursive: true, force: true });
});

/** A TCP connection to a closed port: who refuses it is there. Prints the error's name, or `silent` after 400 ms. */
const KNOCK = `
const socket = require('node:net').connect(9, process.argv[1]);
const say = (word) => { process.stdout.write(word); process.exit(0); };
socket.on('error', (error) => say(error.code));
setTimeout(() => say('silent'), 400);
`;

async function knock(lab: Lab, address: string): Promise<string> {
  return (await lab.exec('gateway', [process.execPath, '-e', KNOCK, address])).stdout;
}

async function becomes(lab: Lab, address: string, wanted: string): Promise<void> {
  let seen = '';
  const reached = await until(async () => {
    seen = await knock(lab, address);
    return seen === wanted;
  }, 6000);
  assert.ok(reached, `${address} is ${seen}, not ${wanted}`);
}

async function carrier(lab: Lab, device: string): Promise<string> {
  return (await lab.exec('gateway', ['cat', `/sys/class/net/${device}/carrier`])).stdout.trim();
}

const THERE = 'ECONNREFUSED';

test('silent: the router answers, nothing beyond it does', { skip }, async () => {
  const fast = classic.uplink('fast');
  assert.equal(await knock(classic, fast.upstream4), THERE);
  assert.equal(await knock(classic, fast.upstream6), THERE);
  await classic.cut('fast', 'silent');
  assert.equal(await knock(classic, fast.gateway4), THERE);
  assert.equal(await knock(classic, `${fast.gateway6}%lan0`), THERE);
  assert.equal(await knock(classic, fast.upstream4), 'silent');
  assert.equal(await knock(classic, fast.upstream6), 'silent');
  await classic.mend('fast');
  assert.equal(await knock(classic, fast.upstream4), THERE);
  assert.equal(await knock(classic, fast.upstream6), THERE);
});

test('router: it answers nothing, no carrier event tells, the other router is not touched', { skip }, async () => {
  const [fast, backup] = [classic.uplink('fast'), classic.uplink('backup')];
  await classic.cut('fast', 'router');
  assert.notEqual(await knock(classic, fast.gateway4), THERE);
  assert.notEqual(await knock(classic, fast.upstream4), THERE);
  assert.equal(await carrier(classic, 'lan0'), '1');
  assert.equal(await knock(classic, backup.gateway4), THERE);
  await classic.mend('fast');
  await becomes(classic, fast.gateway4, THERE);
  await becomes(classic, fast.upstream4, THERE);

  await twoNic.cut('fast', 'router');
  assert.notEqual(await knock(twoNic, twoNic.uplink('fast').gateway4), THERE);
  assert.equal(await carrier(twoNic, 'wan1'), '1');
  await twoNic.mend('fast');
  await becomes(twoNic, twoNic.uplink('fast').upstream4, THERE);
});

test('carrier: the gateway loses it at once on that interface alone, and gets it back', { skip }, async () => {
  await twoNic.cut('fast', 'carrier');
  assert.equal(await carrier(twoNic, 'wan1'), '0');
  assert.equal(await carrier(twoNic, 'wan2'), '1');
  await twoNic.mend('fast');
  assert.equal(await carrier(twoNic, 'wan1'), '1');
  await becomes(twoNic, twoNic.uplink('fast').upstream4, THERE);
  await assert.rejects(classic.cut('fast', 'carrier'), /share the gateway's one interface/);
});

test('unreachable: the router says so, in both families', { skip }, async () => {
  const fast = classic.uplink('fast');
  const told = async (file: string, counter: RegExp) => {
    const { stdout } = await classic.exec('gateway', ['cat', `/proc/net/${file}`]);
    return Number(counter.exec(stdout)?.[1] ?? Number.NaN);
  };
  // The second line of Icmp holds the values: InMsgs, InErrors, InCsumErrors, InDestUnreachs.
  const toldAll = async () => [await told('snmp', /Icmp: \d+ \d+ \d+ (\d+)/), await told('snmp6', /Icmp6InDestUnreachs\s+(\d+)/)];
  const before = await toldAll();
  await classic.cut('fast', 'unreachable');
  await classic.cut('fast', 'unreachable');
  try {
    assert.notEqual(await knock(classic, fast.upstream4), THERE);
    assert.notEqual(await knock(classic, fast.upstream6), THERE);
    const after = await toldAll();
    assert.ok((after[0] ?? 0) > (before[0] ?? 0), `${before} -> ${after}`);
    assert.ok((after[1] ?? 0) > (before[1] ?? 0), `${before} -> ${after}`);
    assert.equal(await knock(classic, fast.gateway4), THERE);
  } finally {
    await classic.mend('fast');
  }
  assert.equal(await knock(classic, fast.upstream4), THERE);
  assert.equal(await knock(classic, fast.upstream6), THERE);
});

test('failures add up, and one mending ends them all', { skip }, async () => {
  await twoNic.cut('backup', { kind: 'slow', extraMs: 100 });
  await twoNic.cut('backup', { kind: 'loss', share: 0.5 });
  await twoNic.cut('backup', 'carrier');
  const cut = await twoNic.linkReport('backup');
  assert.deepEqual([cut.out.profile.delayMs, cut.in.profile.loss], [120, 0.5]);
  await twoNic.mend('backup');
  const mended = await twoNic.linkReport('backup');
  assert.deepEqual([mended.out.profile.delayMs, mended.in.profile.loss], [20, 0]);
  assert.equal(await carrier(twoNic, 'wan2'), '1');
});

test('what only one provider reaches is reached through it alone', { skip }, async () => {
  const backup = classic.uplink('backup');
  assert.equal(await knock(classic, backup.upstream4), THERE, 'the upstream of the other uplink is reached from everywhere');
  assert.match(await knock(classic, backup.privateTarget4), /UNREACH|silent/);
  await classic.exec('gateway', ['ip', 'route', 'add', `${backup.privateTarget4}/32`, 'via', backup.gateway4]);
  assert.equal(await knock(classic, backup.privateTarget4), THERE);
});
