/** The watcher over folders of its own: what it tells, when, and what it does not believe. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { UplinkHint } from '../../../src/core/hint.js';
import { hintsDirectory, LeaseWatcher, type LeaseWatcherOptions } from '../../../src/kernel/lease/lease-watcher.js';
import { until } from '../../../src/lab/until.js';

let folder: string;
let watcher: LeaseWatcher | null = null;
let told: UplinkHint[] = [];
let problems: string[] = [];
const at = (name: string): string => join(folder, name);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'backroute-leases-'));
  told = [];
  problems = [];
});
afterEach(() => {
  watcher?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function start(change: Partial<LeaseWatcherOptions> = {}): Promise<void> {
  watcher = new LeaseWatcher({
    hintsDir: at('hints'),
    dhclientDirs: [at('dhcp'), at('dhclient')],
    networkdDir: at('netif'),
    networkManagerDir: at('nm'),
    interfaceName: (ifindex) => (ifindex === 7 ? 'wan1' : null),
    onProblem: (text) => problems.push(text.replaceAll(folder, '')),
    ...change,
  });
  const mine = told;
  await watcher.start((one) => mine.push(one));
}

let fences = 0;
/** Waits until everything that was there when this was called has been read. */
async function looked(): Promise<void> {
  const gateway = `10.99.0.${++fences}`;
  hint('fence', `interface=fence\nfamily=4\ngateway=${gateway}\n`);
  const isTold = () => told.some((one) => one.gateway === gateway);
  assert.ok(await until(isTold, 5000), 'the watcher looks');
  for (let at = told.length - 1; at >= 0; at--) if (told[at]?.interface === 'fence') told.splice(at, 1);
}

const short = (hint: UplinkHint): string =>
  `${hint.interface}/${hint.family} ${hint.source}: ${hint.gateway ?? '-'} ${hint.prefix ?? '-'}`;
/** Waits for these, in this order, and that nothing else was told. */
async function tells(...lines: string[]): Promise<void> {
  await until(() => told.length >= lines.length, 5000);
  assert.deepEqual(told.map(short), lines);
}

function hint(name: string, text: string): void {
  writeFileSync(at('draft'), text);
  renameSync(at('draft'), at(`hints/${name}`));
}
const hintText = (gateway: string, more = ''): string => `interface=wan1\nfamily=4\nsource=a hook\ngateway=${gateway}\n${more}`;
const lease = (gateway: string, expire = 'never', name = 'wan1'): string =>
  `lease {\n  interface "${name}";\n  option routers ${gateway};\n  expire ${expire};\n}\n`;

test('what is there at the start is told before start() resolves', async () => {
  mkdirSync(at('hints'));
  mkdirSync(at('dhcp'));
  mkdirSync(at('netif'));
  mkdirSync(at('nm'));
  hint('wan1-4-a', hintText('10.1.0.1'));
  writeFileSync(at('dhcp/dhclient.wan2.leases'), lease('10.2.0.1', 'never', 'wan2'));
  writeFileSync(at('dhcp/dhclient.leases~'), lease('10.9.0.1', 'never', 'wan9'));
  writeFileSync(at('netif/7'), 'ROUTER=10.1.0.2\n');
  writeFileSync(at('netif/8'), 'ROUTER=10.8.0.2\n');
  writeFileSync(at('nm/internal-1f0e43f5-6a0b-3b3e-8f0e-000000000001-wan3.lease'), 'ADDRESS=10.3.0.9\nROUTER=10.3.0.1\n');
  writeFileSync(at('nm/dhclient-1f0e43f5-6a0b-3b3e-8f0e-000000000001-wan-4.lease'), lease('10.4.0.1', 'never', 'wan-4'));
  await start();
  assert.deepEqual(told.map(short).sort(), [
    "wan-4/4 NetworkManager's lease: 10.4.0.1 -",
    'wan1/4 a hook: 10.1.0.1 -',
    "wan1/4 networkd's lease: 10.1.0.2 -",
    "wan2/4 dhclient's lease: 10.2.0.1 -",
    "wan3/4 NetworkManager's lease: 10.3.0.1 -",
  ]);
  assert.deepEqual(problems, []);
});

test('folders that come, go and come again are followed by event', async () => {
  await start({ slowLookMs: 3_600_000, hintsDir: at('deep/down/hints') });
  mkdirSync(at('deep/down/hints'), { recursive: true });
  writeFileSync(at('deep/down/hints/one'), hintText('10.1.0.1'));
  await tells('wan1/4 a hook: 10.1.0.1 -');
  rmSync(at('deep'), { recursive: true });
  await tells('wan1/4 a hook: 10.1.0.1 -', 'wan1/4 a hook: - -');
  mkdirSync(at('deep/down/hints'), { recursive: true });
  writeFileSync(at('deep/down/hints/one'), hintText('10.1.0.2'));
  await until(() => told.length > 2, 5000);
  assert.equal(short(told[2] as UplinkHint), 'wan1/4 a hook: 10.1.0.2 -');
});

test('a changed hint is told within a moment, an equal one not at all', async (t) => {
  mkdirSync(at('hints'));
  hint('one', hintText('10.1.0.1'));
  await start({ slowLookMs: 3_600_000 });
  hint('one', hintText('10.1.0.1', 'expires=9999999999\n'));
  const startedMs = performance.now();
  hint('one', hintText('10.1.0.2'));
  await tells('wan1/4 a hook: 10.1.0.1 -', 'wan1/4 a hook: 10.1.0.2 -');
  t.diagnostic(`from the file to the callback: ${(performance.now() - startedMs).toFixed(1)} ms`);
  rmSync(at('hints/one'));
  await tells('wan1/4 a hook: 10.1.0.1 -', 'wan1/4 a hook: 10.1.0.2 -', 'wan1/4 a hook: - -');
});

test('a lease that ends is withdrawn by itself; one that had ended before is never told', async () => {
  mkdirSync(at('dhcp'));
  const endsMs = Date.now() + 1500;
  writeFileSync(
    at('dhcp/a.leases'),
    lease('10.1.0.1', `epoch ${Math.floor(endsMs / 1000)}`) + lease('10.2.0.1', 'epoch 5', 'wan2'),
  );
  await start({ slowLookMs: 3_600_000 });
  await tells("wan1/4 dhclient's lease: 10.1.0.1 -");
  await tells("wan1/4 dhclient's lease: 10.1.0.1 -", "wan1/4 dhclient's lease: - -");
  assert.ok(Date.now() >= endsMs - 1500 && Date.now() < endsMs + 3000);
  // Renewed: the same word is told again.
  appendFileSync(at('dhcp/a.leases'), lease('10.1.0.1'));
  await until(() => told.length > 2, 5000);
  assert.equal(told.map(short)[2], "wan1/4 dhclient's lease: 10.1.0.1 -");
});

test('a file that is written anew in pieces is no withdrawal', async () => {
  mkdirSync(at('hints'));
  mkdirSync(at('dhcp'));
  writeFileSync(at('dhcp/a.leases'), lease('10.1.0.1'));
  await start({ slowLookMs: 3_600_000 });
  truncateSync(at('dhcp/a.leases'));
  const text = lease('10.1.0.2');
  for (const piece of [text.slice(0, 30), text.slice(30)]) {
    await looked();
    appendFileSync(at('dhcp/a.leases'), piece);
  }
  await tells("wan1/4 dhclient's lease: 10.1.0.1 -", "wan1/4 dhclient's lease: 10.1.0.2 -");
  // Gone for good is gone.
  rmSync(at('dhcp/a.leases'));
  await until(() => told.length > 2, 5000);
  assert.equal(told.map(short)[2], "wan1/4 dhclient's lease: - -");
});

test('of two files about one interface the one written last is right', async () => {
  mkdirSync(at('dhcp'));
  writeFileSync(at('dhcp/z.leases'), lease('10.1.0.1'));
  utimesSync(at('dhcp/z.leases'), 1000, 1000);
  writeFileSync(at('dhcp/a.leases'), lease('10.1.0.2'));
  await start();
  await tells("wan1/4 dhclient's lease: 10.1.0.2 -");
});

test('an interface that gets its name later: look() finds its lease', async () => {
  mkdirSync(at('netif'));
  writeFileSync(at('netif/9'), 'ROUTER=10.1.0.2\nLIFETIME=3600\n');
  let name: string | null = null;
  await start({ interfaceName: () => name, slowLookMs: 3_600_000 });
  assert.deepEqual(told, []);
  name = 'wan9';
  watcher?.look();
  await tells("wan9/4 networkd's lease: 10.1.0.2 -");
});

test('hostile hints are told once and not heeded; the good one among them is', async () => {
  mkdirSync(at('hints'));
  hint('good', hintText('10.1.0.1'));
  hint('huge', hintText('10.1.0.2', 'x'.repeat(1 << 20)));
  hint('no-address', hintText('10.1.0.1234'));
  hint('writable', hintText('10.1.0.3'));
  chmodSync(at('hints/writable'), 0o666);
  writeFileSync(at('elsewhere'), hintText('10.1.0.4'));
  symlinkSync(at('elsewhere'), at('hints/link'));
  execFileSync('mkfifo', [at('hints/pipe')]);
  mkdirSync(at('hints/folder'));
  writeFileSync(at('hints/.draft'), hintText('10.1.0.5'));
  writeFileSync(at('hints/empty'), '');
  await start({ slowLookMs: 50 });
  await tells('wan1/4 a hook: 10.1.0.1 -');
  // Several looks later nothing is told twice.
  for (let round = 0; round < 3; round++) await looked();
  assert.deepEqual(problems.toSorted(), [
    '/hints/empty is not heeded: it names no interface',
    '/hints/folder is not read: it is no regular file',
    '/hints/huge is not read: it holds 1048631 bytes',
    '/hints/link is not read: it is a symbolic link',
    '/hints/no-address is not heeded: gateway "10.1.0.1234" cannot be an IPv4 next hop',
    '/hints/pipe is not read: it is no regular file',
    '/hints/writable is not read: others may write into it',
  ]);
  await tells('wan1/4 a hook: 10.1.0.1 -');
});

test('a folder of hints that others may write into, or that is a link, is not read', async () => {
  mkdirSync(at('hints'));
  hint('good', hintText('10.1.0.1'));
  chmodSync(at('hints'), 0o777);
  await start();
  watcher?.close();
  chmodSync(at('hints'), 0o755);
  symlinkSync(at('hints'), at('linked'));
  await start({ hintsDir: at('linked') });
  assert.deepEqual(told, []);
  assert.deepEqual(problems, ['/hints is not read: others may write into it', '/linked is not read: it is a symbolic link']);
});

test('hints of another user are not heeded', {
  skip: process.getuid?.() === 0 ? false : 'needs root to give a file away',
}, async () => {
  mkdirSync(at('hints'));
  hint('theirs', hintText('10.1.0.1'));
  chownSync(at('hints/theirs'), 12345, 12345);
  await start();
  assert.deepEqual(
    [told, problems],
    [[], ['/hints/theirs is not read: it belongs to user 12345, not to root or to this program']],
  );
});

test('of a huge lease file the end is read', async () => {
  mkdirSync(at('dhcp'));
  writeFileSync(at('dhcp/a.leases'), lease('10.9.0.1', 'never', 'wan9') + '# \n'.repeat(2 << 20) + lease('10.1.0.1'));
  await start();
  await tells("wan1/4 dhclient's lease: 10.1.0.1 -");
});

test('closed: nothing is told any more', async () => {
  mkdirSync(at('hints'));
  await start({ slowLookMs: 20 });
  const closed = watcher;
  const toldToClosed = told;
  closed?.close();
  told = [];
  await start({ slowLookMs: 20 });
  await looked();
  closed?.look();
  await looked();
  assert.deepEqual(toldToClosed, []);
});

test('hints lie beside the daemon’s own folder, which its user may write', () => {
  assert.equal(hintsDirectory('/run/backroute'), '/run/backroute-hints');
  assert.equal(hintsDirectory('/run/backroute/'), '/run/backroute-hints');
});
