/**
 * What `check` says of followers that would fail: every finding, each with its remedy, and nothing is touched.
 */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { mapsOf } from '../../../src/action/following/postfix-maps.js';
import { followerProblems, hookProblems } from '../../../src/action/following/problems.js';
import type { FilesConfig, RelayConfig, ResolverConfig } from '../../../src/core/services.js';

let folder = '';
const path = (name: string): string => join(folder, name);
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'backroute-problems-'));
  writeFileSync(path('source'), 'x');
  writeFileSync(path('plain'), 'x');
  mkdirSync(path('a-folder'));
  mkdirSync(path('hooks'));
  writeFileSync(path('hooks/plain'), '');
  chmodSync(path('hooks/plain'), 0o644);
  mkdirSync(path('bin'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

const files = (change: Partial<FilesConfig>): FilesConfig => ({
  kind: 'files',
  name: 'exim',
  copies: { fast: [{ from: path('source'), to: path('target') }] },
  check: ['true'],
  reload: null,
  timeoutMs: 5_000,
  ...change,
});

describe('files', () => {
  test('nothing to say of what will work', async () => {
    const before = readdirSync(folder);
    assert.deepEqual(await followerProblems(files({})), []);
    assert.deepEqual(readdirSync(folder), before);
  });

  test('every copy of every uplink, and both commands', async () => {
    const found = await followerProblems(
      files({
        copies: {
          fast: [
            { from: path('missing'), to: path('target') },
            { from: path('a-folder'), to: path('nowhere/target') },
          ],
          backup: [{ from: path('source'), to: path('a-folder') }],
        },
        check: ['no-such-check', 'x'],
        reload: [path('plain')],
      }),
    );
    assert.deepEqual(found, [
      `exim: ${path('missing')} is not there: write what fast wants there`,
      `exim: ${path('a-folder')}: is a directory: write what fast wants there, readable for the daemon`,
      `exim: ${path('nowhere/target')} cannot be replaced: ${path('nowhere')}: is not there: its folder must be there and writable for the daemon`,
      `exim: ${path('a-folder')} cannot be replaced: ${path('a-folder')}: is a directory: its folder must be there and writable for the daemon`,
      'exim: the program no-such-check was not found: install it, or write its whole path',
      `exim: ${path('plain')} is not executable: chmod +x ${path('plain')}`,
    ]);
  });

  test('a command by a path that is not whole', async () => {
    const [problem] = await followerProblems(files({ check: ['bin/check'] }));
    assert.equal(problem, 'exim: bin/check: write the whole path; commands run in /');
  });
});

describe('the mail relay', () => {
  const relay = (login: boolean): RelayConfig => ({
    kind: 'mail-relay',
    name: 'mail-relay',
    postfixDirectory: folder,
    timeoutMs: 5_000,
    smarthosts: {
      fast: {
        relayhost: '[a.test]:587',
        host: 'a.test',
        port: 587,
        login: login ? { user: 'u', password: { kind: 'file', path: path('no-secret') } } : null,
      },
    },
  });
  const own = process.env.PATH;
  /** A stand-in that knows these settings: what is under test is what we make of them. */
  const postconf = (settings: string): void => {
    writeFileSync(path('bin/postconf'), `#!/bin/sh\ncat <<EOF\n${settings}\nEOF\n`);
    chmodSync(path('bin/postconf'), 0o755);
    writeFileSync(path('main.cf'), '');
    process.env.PATH = `${path('bin')}:${own}`;
  };
  after(() => {
    process.env.PATH = own;
  });

  test('nothing to say without logins', async () => {
    postconf('smtp_tls_security_level =');
    assert.deepEqual(await followerProblems(relay(false)), []);
  });

  test('a secret that is not there, and a Postfix that would never send it', async () => {
    postconf('smtp_tls_security_level =\nsmtp_sasl_security_options = noplaintext, noanonymous');
    assert.deepEqual(await followerProblems(relay(true)), [
      `mail-relay: ${path('no-secret')} cannot be read (ENOENT): the smarthost wants a password`,
      'mail-relay: Postfix sends no password without TLS: postconf -e smtp_tls_security_level=encrypt smtp_sasl_tls_security_options=noanonymous',
    ]);
    postconf('smtp_tls_security_level = encrypt\nsmtp_sasl_tls_security_options = noplaintext, noanonymous');
    assert.match((await followerProblems(relay(true)))[1] ?? '', /refuses the usual ways to log in/);
    postconf('smtp_tls_security_level =\nsmtp_sasl_security_options = noanonymous');
    assert.match((await followerProblems(relay(true)))[1] ?? '', /sends the password unencrypted/);
    postconf('smtp_tls_security_level = encrypt\nsmtp_sasl_tls_security_options = noanonymous');
    assert.equal((await followerProblems(relay(true))).length, 1);
  });

  test('a directory that is none of Postfix', async () => {
    writeFileSync(
      path('bin/postconf'),
      '#!/bin/sh\necho "postconf: fatal: open main.cf: No such file or directory" >&2\nexit 1\n',
    );
    const [problem] = await followerProblems(relay(false));
    assert.match(
      problem ?? '',
      /^mail-relay: postconf failed with code 1: .*No such file.*: name Postfix's configuration directory in `postfix-directory`$/,
    );
  });
});

test('a resolver that is not there, and more servers than resolv.conf takes', async () => {
  const resolver = (change: Partial<ResolverConfig>): ResolverConfig => ({
    kind: 'resolver',
    name: 'resolver',
    how: 'dnsmasq',
    path: path('servers'),
    pidFile: path('pid'),
    servers: { fast: ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4'] },
    timeoutMs: 5_000,
    ...change,
  });
  assert.deepEqual(await followerProblems(resolver({})), [
    `resolver: ${path('pid')} names no running dnsmasq: start it, or mend \`pid-file\``,
  ]);
  assert.match((await followerProblems(resolver({ pidFile: null })))[0] ?? '', /no `pid-file` is named/);
  assert.deepEqual(await followerProblems(resolver({ how: 'resolv.conf' })), [
    'resolver: fast has 4 servers: resolv.conf takes three, the rest is never asked',
  ]);
});

test('hooks that will not run', async () => {
  const found = await hookProblems({ directory: path('hooks'), commands: [['no-such-hook']], topics: [], timeoutMs: 1 });
  assert.deepEqual(found, [
    `hooks: ${path('hooks/plain')}: not run: it is not executable (chmod +x)`,
    'hooks: the program no-such-hook was not found: install it, or write its whole path',
  ]);
});

test('lists of lookup tables', () => {
  assert.deepEqual(mapsOf(''), []);
  assert.deepEqual(mapsOf('hash:/a, texthash:/b\tcdb:/c,'), ['hash:/a', 'texthash:/b', 'cdb:/c']);
  assert.deepEqual(mapsOf('inline:{a=b, {c = d}} static:x'), ['inline:{a=b, {c = d}}', 'static:x']);
});
