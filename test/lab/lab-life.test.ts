/** A lab comes, works and goes without a trace, whoever ends it and however. Needs root. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { labDown, labStatus, labUp } from '../../src/lab/commands.js';
import { LabError } from '../../src/lab/errors.js';
import { Lab } from '../../src/lab/lab.js';
import { isAlive, type ProcessIdentity, processesIn } from '../../src/lab/processes.js';
import { missingRequirement } from '../../src/lab/requirements.js';
import { run } from '../../src/lab/run.js';
import { findState, listLabs, namespacePath } from '../../src/lab/state.js';
import { type TopologyName, topologies } from '../../src/lab/topologies.js';
import { until } from '../../src/lab/until.js';

const skip = missingRequirement()?.message ?? false;
const stateDir = mkdtempSync(join(tmpdir(), 'lab-life-'));
after(async () => {
  // Only a failed test leaves a lab; it must not stay on the machine all the same.
  for (const dir of [stateDir, ...readdirSync(stateDir).map((entry) => join(stateDir, entry))]) {
    for (const name of listLabs(dir)) await labDown({ name, stateDir: dir, force: true }, () => {});
  }
  rmSync(stateDir, { recursive: true, force: true });
});

const LAB_MODULE = new URL('../../src/lab/lab.js', import.meta.url).href;

/** What is left of a lab, in words; empty = nothing. */
function traces(name: string, dir: string, processes: readonly ProcessIdentity[]): string[] {
  const found = [];
  for (const place of ['/run/netns', '/etc/netns']) {
    if (existsSync(place)) found.push(...readdirSync(place).filter((entry) => entry.startsWith(`br-${name}-`)));
  }
  if (existsSync(dir)) found.push(...readdirSync(dir).filter((entry) => entry.includes(name)));
  found.push(...processes.filter(isAlive).map(({ pid }) => `process ${pid}`));
  return found;
}

async function devicesHere(): Promise<string[]> {
  const { stdout } = await run(['ip', '-o', 'link']);
  return stdout.split('\n').map((line) => line.split(':')[1]?.trim() ?? '');
}

for (const topology of Object.keys(topologies) as TopologyName[]) {
  test(`${topology}: up, both families reach the server, down leaves nothing`, { skip }, async () => {
    const before = await devicesHere();
    const startedMs = performance.now();
    const lab = await Lab.create(topology, { stateDir });
    const links = Object.values(findState(stateDir, lab.name)?.links ?? {});
    try {
      assert.ok(performance.now() - startedMs < 3000, `${performance.now() - startedMs} ms to build`);
      assert.equal(links.length, lab.uplinks.length);
      assert.ok(links.every(isAlive));
      assert.deepEqual(await devicesHere(), before, 'no device of the lab is ever outside its namespaces');
      lab.etcFile('client', 'hosts', '127.0.0.1 localhost\n192.0.2.7 only-here\n');
      assert.match((await lab.exec('client', ['cat', '/etc/hosts'])).stdout, /only-here/);
      // Where nobody translates IPv6 the LAN's own addresses lead nowhere (lab-topologies.test.ts shows what does).
      const families = lab.uplinks.some((uplink) => uplink.delegated6 !== null) ? ([4] as const) : ([4, 6] as const);
      for (const family of families) {
        const meter = await lab.meter({ family });
        assert.ok(await until(async () => (await meter.stats()).received >= 20, 5000), 'packets come back');
        assert.equal((await meter.stop()).lost, 0);
      }
      lab.spawn('gateway', ['cat'], { stdio: ['pipe', 'ignore', 'ignore'] });
      assert.ok(await until(() => processesIn([namespacePath(lab.ns('gateway'))]).length === 1, 2000));
    } finally {
      const downMs = performance.now();
      assert.equal((await lab.destroy()).ended, 1, 'the program left in the gateway ended with the lab');
      assert.ok(performance.now() - downMs < 2000, `${performance.now() - downMs} ms to take down`);
    }
    assert.deepEqual(traces(lab.name, stateDir, links), []);
    assert.deepEqual(await devicesHere(), before);
    await lab.destroy();
  });
}

test('names: interfaces, namespaces and uplinks are found or the known ones are listed', { skip }, async () => {
  const lab = await Lab.create('two-nic', { stateDir });
  try {
    assert.equal(lab.interfaceOf('gateway', 'backup'), 'wan2');
    assert.equal(lab.interfaceOf('gateway', 'client'), 'lan0');
    assert.equal(lab.interfaceOf('internet', 'fast-isp'), 'fast-isp');
    assert.throws(() => lab.interfaceOf('client', 'internet'), LabError);
    assert.throws(() => lab.ns('nobody'), LabError);
    assert.throws(() => lab.uplink('nobody'), LabError);
    await assert.rejects(lab.exec('client', ['sh', '-c', 'echo bad >&2; exit 3']), /exit 3: bad/);
    assert.equal((await lab.exec('client', ['sh', '-c', 'exit 3'], { check: false })).code, 3);
  } finally {
    await lab.destroy();
  }
});

test('two labs side by side do not feel each other', { skip }, async () => {
  const labs = await Promise.all([Lab.create('classic', { stateDir }), Lab.create('classic', { stateDir })]);
  const [first, second] = labs;
  try {
    const meter = await second.meter();
    await first.cut('fast', 'silent');
    await first.cut('backup', 'router');
    const sent = (await meter.stats()).sent;
    assert.ok(await until(async () => (await meter.stats()).sent > sent + 50, 5000));
    assert.equal((await meter.stop()).lost, 0);
  } finally {
    await Promise.all(labs.map((lab) => lab.destroy()));
  }
});

test('a lab that fails half-way is removed, and the name that exists is left alone', { skip }, async () => {
  const lab = await Lab.create('classic', { stateDir, name: 'taken' });
  try {
    await assert.rejects(Lab.create('classic', { stateDir, name: 'taken' }), /there is a lab "taken" already/);
    // Same namespaces, other state folder: the kernel refuses, nothing of the first may be touched.
    const meter = await lab.meter();
    const otherDir = join(stateDir, 'other');
    await assert.rejects(Lab.create('classic', { stateDir: otherDir, name: 'taken' }), LabError);
    assert.equal(existsSync(otherDir), false);
    assert.ok(existsSync(namespacePath(lab.ns('client'))), 'the namespaces of the first lab stand');
    assert.equal((await meter.stop()).lost, 0);
  } finally {
    await lab.destroy();
  }
});

/** A process that owns a lab; `body` runs when it is up. */
function startOwner(name: string, dir: string, body: string): ChildProcess {
  const options = JSON.stringify({ name, stateDir: dir });
  const program = `import { Lab } from '${LAB_MODULE}'; const lab = await Lab.create('classic', ${options}); console.log('up'); ${body}`;
  return spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'ignore'] });
}

const deaths: { name: string; body: string; signal: NodeJS.Signals | null }[] = [
  { name: 'sigkill', body: 'setInterval(() => {}, 1000);', signal: 'SIGKILL' },
  { name: 'sigterm', body: 'setInterval(() => {}, 1000);', signal: 'SIGTERM' },
  { name: 'sigint', body: 'setInterval(() => {}, 1000);', signal: 'SIGINT' },
  { name: 'exception', body: "throw new Error('on purpose');", signal: null },
  { name: 'exit', body: 'process.exit(0);', signal: null },
  { name: 'end', body: '', signal: null },
];
for (const { name, body, signal } of deaths) {
  test(`the owner ends by ${name}: everything goes with it`, { skip }, async () => {
    const dir = join(stateDir, name);
    const owner = startOwner(name, dir, body);
    let links: ProcessIdentity[] = [];
    const isUp = () => {
      const state = existsSync(join(dir, `${name}.json`)) ? findState(dir, name) : null;
      links = Object.values(state?.links ?? {});
      return state?.complete === true;
    };
    if (signal !== null) {
      assert.ok(await until(isUp, 10_000, 2), 'the lab is up');
      assert.equal(links.length, 2);
      owner.kill(signal);
    }
    assert.ok(await until(() => owner.exitCode !== null || owner.signalCode !== null, 10_000), 'the owner ended');
    assert.ok(await until(() => traces(name, dir, links).length === 0, 5000), traces(name, dir, links).join(', '));
  });
}

test('the owner is killed while it builds: nothing stays', { skip }, async () => {
  for (let round = 0; round < 6; round++) {
    const name = `early-${round}`;
    const dir = join(stateDir, name);
    const owner = startOwner(name, dir, 'setInterval(() => {}, 1000);');
    // Later in each round: after the name is claimed, after the first namespaces, …
    const wanted = round * 2 - 1;
    const made = () => readdirSync('/run/netns').filter((entry) => entry.startsWith(`br-${name}-`)).length;
    assert.ok(await until(() => existsSync(join(dir, `${name}.json`)) && made() >= wanted - 2, 10_000, 1));
    owner.kill('SIGKILL');
    assert.ok(await until(() => owner.signalCode !== null, 5000));
    assert.ok(await until(() => traces(name, dir, []).length === 0, 5000), traces(name, dir, []).join(', '));
    // And it stays so: what the owner had started last must not come after the cleaning.
    assert.equal(await until(() => traces(name, dir, []).length > 0, 300), false, traces(name, dir, []).join(', '));
  }
});

test('`lab up` stays when its process has ended; another one asks, and takes it down', { skip }, async () => {
  const dir = join(stateDir, 'stays');
  const commands = new URL('../../src/lab/commands.js', import.meta.url).href;
  const verb = (call: string) =>
    run([process.execPath, '--input-type=module', '-e', `import * as c from '${commands}'; await c.${call}`]);
  const where = JSON.stringify({ name: 'stays', stateDir: dir });
  try {
    const { stdout } = await verb(`labUp(${where}, (text) => process.stdout.write(text))`);
    assert.match(stdout, /The lab "stays" is up after \d+ ms/);
    assert.match(stdout, /ip netns exec br-stays-gateway route -n/);
    let said = '';
    await labStatus({ name: 'stays', stateDir: dir }, (text) => {
      said += text;
    });
    assert.match(said, /fast {5}works, 10 ms each way/);
    await assert.rejects(
      labUp({ name: 'stays', stateDir: dir }, () => {}),
      /already/,
    );
    const lab = await Lab.open('stays', dir);
    const meter = await lab.meter();
    assert.ok((await meter.stats()).received > 0, 'packets flow');
    await meter.stop();
  } finally {
    const links = Object.values(findState(dir, 'stays')?.links ?? {});
    await labDown({ name: 'stays', stateDir: dir }, () => {});
    assert.deepEqual(traces('stays', dir, links), []);
  }
});
