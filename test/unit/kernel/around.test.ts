/** What stands around the netlink codec and needs no privilege: keys, names, tables, locks, the service manager. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { errnoName, errnoNumber, KernelError } from '../../../src/kernel/error.js';
import { AF_UNIX, bind, close, recv, SOCK_DGRAM, SOCK_NONBLOCK, socket } from '../../../src/kernel/libc.js';
import { lockFile, lockHolder } from '../../../src/kernel/lock.js';
import { parseProtocolNames, protocolName, readProtocolNames } from '../../../src/kernel/names.js';
import { serviceManager, unixAddress } from '../../../src/kernel/notify.js';
import { parseErrorControl } from '../../../src/kernel/sockets.js';
import { readSysctl, sysctlPath } from '../../../src/kernel/sysctl.js';

let directory = '';
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'backroute-kernel-'));
});
after(() => rmSync(directory, { recursive: true, force: true }));

describe('errno', () => {
  test('numbers and names', () => {
    assert.deepEqual([errnoName(2), errnoName(17), errnoName(11), errnoName(95)], ['ENOENT', 'EEXIST', 'EAGAIN', 'EOPNOTSUPP']);
    assert.equal(errnoName(9999), 'E9999');
    assert.deepEqual([errnoNumber('ENOENT'), errnoNumber('ENONSENSE')], [2, 0]);
  });
  test('the error says everything in one line', () => {
    const error = new KernelError('EEXIST', 'route-add', 'File exists');
    assert.deepEqual([error.message, error.code], ['route-add: EEXIST: File exists', 'EEXIST']);
  });
});

describe('sysctl keys', () => {
  test('the first separator decides', () => {
    assert.equal(sysctlPath('net/ipv4/conf/eth0.5/rp_filter'), '/proc/sys/net/ipv4/conf/eth0.5/rp_filter');
    assert.equal(sysctlPath('net.ipv4.conf.eth0/5.rp_filter'), '/proc/sys/net/ipv4/conf/eth0.5/rp_filter');
  });
  for (const key of ['../etc/passwd', 'net/../../etc/passwd', 'net//ipv4', '', 'net/ipv4/\0', '/etc/passwd']) {
    test(`refused: ${JSON.stringify(key)}`, () => assert.throws(() => sysctlPath(key), KernelError));
  }
  test('what is no single value reads as not there', () => {
    assert.equal(readSysctl('net/ipv4'), null);
    assert.equal(readSysctl('net/ipv4/no_such_thing'), null);
    assert.match(readSysctl('kernel/ostype') ?? '', /^Linux$/);
  });
});

describe('protocol names', () => {
  test('files of iproute2, comments, hexadecimal, nonsense', () => {
    const names = parseProtocolNames('# comment\n16\tdhcp\n0x2a babel # why\n  99 openr\n999 toobig\nname 5\n');
    assert.deepEqual(
      [...names],
      [
        [16, 'dhcp'],
        [42, 'babel'],
        [99, 'openr'],
      ],
    );
  });
  test('built in, then the distributor, then the administrator', () => {
    const [early, late] = [join(directory, 'early'), join(directory, 'late')];
    for (const folder of [early, join(late, 'rt_protos.d')]) mkdirSync(folder, { recursive: true });
    writeFileSync(join(early, 'rt_protos'), '77 first\n16 dhcp\n');
    writeFileSync(join(late, 'rt_protos.d', 'x.conf'), '77 second\n');
    const names = readProtocolNames([early, join(directory, 'missing'), late]);
    assert.deepEqual(
      [2, 9, 16, 77, 78].map((n) => protocolName(names, n)),
      ['kernel', 'ra', 'dhcp', 'second', 'proto 78'],
    );
  });
});

describe('lock file', () => {
  test('one holder at a time, and the next when it lets go', () => {
    const path = join(directory, 'lock');
    const first = lockFile(path);
    assert.ok(first);
    assert.equal(lockFile(path), null);
    assert.equal(lockHolder(path), process.pid);
    first.release();
    first.release();
    const second = lockFile(path);
    assert.ok(second);
    second.release();
  });

  test('a killed holder holds no more', async () => {
    const path = join(directory, 'lock-of-child');
    const script = join(directory, 'holder.mjs');
    const lockModule = new URL('../../../src/kernel/lock.js', import.meta.url).href;
    writeFileSync(
      script,
      `const { lockFile } = await import(${JSON.stringify(lockModule)});
globalThis.lock = lockFile(${JSON.stringify(path)}); process.send(lock !== null); setInterval(() => {}, 1000);`,
    );
    const child: ChildProcess = fork(script);
    const [held] = (await once(child, 'message')) as [boolean];
    assert.equal(held, true);
    assert.equal(lockFile(path), null);
    assert.equal(lockHolder(path), child.pid);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const mine = lockFile(path);
    assert.ok(mine);
    assert.equal(readFileSync(path, 'utf8'), `${process.pid}\n`);
    mine.release();
  });

  test('is not inherited by children', () => {
    const lock = lockFile(join(directory, 'lock-inherited'));
    const descriptors = execFileSync('ls', ['-l', '/proc/self/fd'], { encoding: 'utf8' });
    assert.ok(!descriptors.includes('lock-inherited'), descriptors);
    lock?.release();
  });
});

describe('service manager', () => {
  const heard = (fd: number): string[] => {
    const messages: string[] = [];
    const buffer = Buffer.alloc(4096);
    for (let length = recv(fd, buffer); length !== null; length = recv(fd, buffer))
      messages.push(buffer.toString('utf8', 0, length));
    return messages;
  };
  const nameOf: Record<string, () => string> = {
    path: () => join(directory, 'notify'),
    'abstract name': () => `@backroute-test-${process.pid}`,
  };
  for (const [kind, name] of Object.entries(nameOf)) {
    test(`hears every message: ${kind}`, () => {
      const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
      bind(fd, unixAddress(name()) ?? Buffer.alloc(0));
      const manager = serviceManager({ NOTIFY_SOCKET: name() });
      manager.ready('two uplinks');
      manager.reloading();
      manager.status('one\nline');
      manager.watchdog();
      manager.stopping();
      const [ready, reloading, ...others] = heard(fd);
      assert.equal(ready, 'READY=1\nSTATUS=two uplinks');
      assert.match(reloading ?? '', /^RELOADING=1\nMONOTONIC_USEC=\d+$/);
      assert.deepEqual(others, ['STATUS=one line', 'WATCHDOG=1', 'STOPPING=1']);
      close(fd);
    });
  }
  test('is not missed when there is none, or nobody listens, or the name is too long', () => {
    for (const name of [undefined, '', 'vsock:2:1', join(directory, 'nobody'), `/${'x'.repeat(200)}`]) {
      serviceManager({ NOTIFY_SOCKET: name }).ready();
    }
  });
  test('the watchdog is fed twice per period, and only by the process that is meant', () => {
    assert.equal(serviceManager({ WATCHDOG_USEC: '30000000' }).watchdogIntervalMs, 15_000);
    assert.equal(serviceManager({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '1' }).watchdogIntervalMs, null);
    assert.equal(serviceManager({ WATCHDOG_USEC: '3', WATCHDOG_PID: String(process.pid) }).watchdogIntervalMs, 0.0015);
    assert.equal(serviceManager({}).watchdogIntervalMs, null);
  });
});

describe('error queue', () => {
  /** Captured with recvmsg(2): a router's "host unreachable" for a ping socket. */
  const control = Buffer.from(
    '3000000000000000000000000b000000' + '71000000020301000000000000000000' + '02000000c0a801010000000000000000',
    'hex',
  );
  test('host unreachable', () => {
    assert.deepEqual(parseErrorControl(control, Uint8Array.of(8)), {
      errno: 'EHOSTUNREACH',
      origin: 'icmp',
      icmpType: 3,
      icmpCode: 1,
      offender: '192.168.1.1',
      quoted: Uint8Array.of(8),
    });
  });
  test('cut short anywhere, or with lengths that cannot be', () => {
    for (let length = 0; length < control.length; length++)
      assert.equal(parseErrorControl(control.subarray(0, length), Uint8Array.of()), null);
    for (const wrong of [0, 15, 49, 255]) {
      const bytes = Buffer.from(control);
      bytes[0] = wrong;
      assert.equal(parseErrorControl(bytes, Uint8Array.of()), null);
    }
    assert.equal(parseErrorControl(Buffer.alloc(64, 0xff), Uint8Array.of()), null);
  });
});
