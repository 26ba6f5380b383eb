/**
 * Old scripts to configurations: whole files against golden ones, single lines against what they must become, and any text at
 * all. What comes out is always a file that our own parser takes, and nothing of what goes in is ever run.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { importOldWay } from '../../../src/cli/import/import.js';
import { parseConfig } from '../../../src/config/parse.js';
import { formatProblem } from '../../../src/config/problem.js';
import type { Config } from '../../../src/core/config.js';
import { assertGolden } from '../../support/golden.js';
import fc from '../../support/properties.js';

const FOLDER = new URL('../../../../test/golden/import/', import.meta.url);

function importText(...texts: readonly (string | Uint8Array)[]): ReturnType<typeof importOldWay> {
  return importOldWay(texts.map((text, index) => ({ name: `f${index + 1}`, bytes: Buffer.from(text) })));
}

function yaml(...texts: readonly (string | Uint8Array)[]): string {
  const imported = importText(...texts);
  assert.ok(imported.ok, imported.ok ? '' : imported.problems.join('\n'));
  return imported.text;
}

function configOf(text: string): Config {
  const parsed = parseConfig(text, 'imported');
  assert.ok(parsed.ok, parsed.ok ? '' : `${text}\n${parsed.problems.map(formatProblem).join('\n')}`);
  return parsed.config;
}

function refused(...texts: readonly (string | Uint8Array)[]): string {
  const imported = importText(...texts);
  assert.ok(!imported.ok, 'it must be refused');
  return imported.problems.join('\n');
}

const ROUTERS = 'fastrouter=192.168.1.253\nbackrouter=192.168.1.1\n';
const CLASSIC = `upstream=212.254.0.1\n${ROUTERS}`;

for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.sh'))) {
  test(`golden: ${file}`, () => {
    const imported = importOldWay([{ name: file, bytes: readFileSync(new URL(file, FOLDER)) }]);
    assert.ok(imported.ok);
    assertGolden(`import/${file.replace(/\.sh$/, '.yaml')}`, imported.text);
    configOf(imported.text);
  });
}

test('golden: a script with its cron table, its list of routes and its interfaces', () => {
  const names = ['route-check', 'route.conf', 'interfaces', 'crontab'];
  const imported = importOldWay(names.map((name) => ({ name, bytes: readFileSync(new URL(`old-way/${name}`, FOLDER)) })));
  assert.ok(imported.ok);
  assertGolden('import/old-way.yaml', imported.text);
  configOf(imported.text);
});

test('docs/migrate.md shows what really comes out', () => {
  const page = readFileSync(new URL('../../../../docs/migrate.md', import.meta.url), 'utf8');
  const script = /```sh\n(#!\/bin\/sh\n[\s\S]*?)```/.exec(page)?.[1];
  const shown = /```yaml\n([\s\S]*?)```/.exec(page)?.[1];
  assert.ok(script !== undefined && shown !== undefined);
  const imported = importOldWay([{ name: 'route-check', bytes: Buffer.from(script) }]);
  assert.ok(imported.ok);
  assert.equal(imported.text, shown);
});

test('the constants of the classic script', () => {
  const config = configOf(
    yaml(`${CLASSIC}fastlog=/var/log/fastlog\nmailto=admin@example.net\nmailconf=/etc/a\nfastmailconf=/etc/a.fast
backmailconf=/etc/a.back\nmailreload='/etc/init.d/exim4 reload'\n`),
  );
  const [fast, backup] = config.uplinks;
  assert.deepEqual([fast?.name, backup?.name], ['fast', 'backup']);
  assert.deepEqual(fast?.gateways[0]?.host, { kind: 'address', address: '192.168.1.253', family: 4 });
  assert.deepEqual(
    fast?.targets.map((target) => target.label),
    ['212.254.0.1'],
  );
  assert.deepEqual(backup?.targets, []);
  assert.equal(config.log, '/var/log/fastlog');
  const [admin] = config.services.channels;
  assert.deepEqual(admin?.transport.kind === 'mail' && admin.transport.to, ['admin@example.net']);
  assert.deepEqual(config.services.followers, [
    {
      kind: 'files',
      name: 'mail',
      copies: { fast: [{ from: '/etc/a.fast', to: '/etc/a' }], backup: [{ from: '/etc/a.back', to: '/etc/a' }] },
      check: null,
      reload: ['/etc/init.d/exim4', 'reload'],
      timeoutMs: 60_000,
    },
  ]);
});

/** One more line to the classic script, and a part of what must or must not come of it. */
const LINES: readonly (readonly [name: string, line: string, wanted: RegExp, unwanted?: RegExp])[] = [
  ['double quotes', 'upstream="198.51.100.9"', /- 198\.51\.100\.9\n/],
  ['single quotes', "upstream='198.51.100.9'", /- 198\.51\.100\.9\n/],
  ['a name', 'upstream=up.example.net', /- up\.example\.net\n/],
  ['export', 'export upstream=198.51.100.9', /- 198\.51\.100\.9\n/],
  ['declare -r', 'declare -r upstream=198.51.100.9', /- 198\.51\.100\.9\n/],
  ['a comment behind it', 'upstream=198.51.100.9 # not 10.0.0.1', /- 198\.51\.100\.9\n/, /- 10\.0\.0\.1/],
  ['a default', `upstream=\${UP:-198.51.100.9}`, /- 198\.51\.100\.9\n/],
  ['a default in quotes', `upstream="\${UP-"198.51.100.9"}"`, /- 198\.51\.100\.9\n/],
  ['a default of a default', `upstream=\${A:-\${B:-198.51.100.9}}`, /- 198\.51\.100\.9\n/],
  ['a default that is not taken', `upstream=\${backrouter:-198.51.100.9}`, /- 192\.168\.1\.1\n/],
  ['a reference', 'net=198.51.100; upstream=$net.9', /- 198\.51\.100\.9\n/],
  ['a reference in braces', `n=9\nupstream="198.51.100.\${n}"`, /- 198\.51\.100\.9\n/],
  ['assumed by the way', `: \${upstream2:=x} \${pinghost=198.51.100.9}`, /- 198\.51\.100\.9\n/],
  ['two targets', 'upstream="198.51.100.9, up.example.net"', /- 198\.51\.100\.9\n {6}- up\.example\.net\n/],
  ['another case', 'FAST_ROUTER=192.168.1.99', /gateway: 192\.168\.1\.99\n/],
  ['a line that goes on', 'upstream=\\\n198.51.100.9', /- 198\.51\.100\.9\n/],
  ['IPv6', 'fastrouter=fe80::1%eth0\nupstream=2001:db8::9', /gateway: "fe80::1%eth0"\n.*targets:\n {6}- "2001:db8::9"\n/s],
  ['an IPv6 target of an IPv4 router', 'upstream=2001:db8::9', /the fast router cannot reach 2001:db8::9/, /- "2001/],
  ['an interface', 'fastif=eth3', /interface: eth3\n/],
  ['a target of the backup', 'backupstream=203.0.113.1', /gateway: 192\.168\.1\.1\n {4}targets:\n {6}- 203\.0\.113\.1\n/],
  ['a local mailbox', 'mailto=root', /to: root@localhost\n/],
  ['mailboxes', 'mailto="root,a@example.net"', /to:\n {8}- root@localhost\n {8}- a@example\.net\n/],
  [
    'a mail address with a newline',
    'mailto="a@example.net\nBcc: x@example.net"',
    /f1:4: mailto=.*\n#.*more than one line/,
    /^notify/m,
  ],
  ['an address with an option', 'mailto=-oQ@example.net', /f1:4: .*\n#.*before the @/, /^notify/m],
  ['an address with a name', 'mailto="The admin <a@example.net>"', /to: a@example\.net\n/],
  ['a log without path', 'fastlog=fast.log', /f1:4: .*\n#.*absolute path/, /^log/m],
  ['a command', 'upstream=$(cat /etc/x)', /f1:4: .*\n#.*was not run/],
  ['a command in backticks', 'upstream=`cat /etc/x`', /f1:4: .*\n#.*was not run/],
  ['a command inside quotes', 'upstream="a$(cat "/etc/x;y")b"', /f1:4: .*\n#.*was not run/],
  ['arithmetic', 'upstream=198.51.100.$((4+5))', /f1:4: .*\n#.*was not run/],
  ['a parameter', 'upstream=$1', /f1:4: .*\n#.*\$1 is known only while it runs/],
  ['a pattern', `upstream=\${fastrouter%.*}.9`, /f1:4: .*\n#.*known only while it runs/],
  ['eval', 'eval upstream=198.51.100.9', /f1:4: eval.*\n#.*have to be run/, /- 198/],
  ['a value under a condition', 'if true; then upstream=198.51.100.9; fi', /f1:4: .*\n#.*condition/, /- 198/],
  ['a value behind &&', 'test -n "$x" && upstream=198.51.100.9', /f1:4: .*\n#.*condition/, /- 198/],
  ['a value in a function', 'f() {\nupstream=198.51.100.9\n}', /f1:5: .*\n#.*condition/, /- 198/],
  ['a value in a here document', 'cat <<E\nupstream=198.51.100.9\nE', /- 212\.254\.0\.1\n/, /- 198/],
  ['a value in a comment', '# upstream=198.51.100.9', /- 212\.254\.0\.1\n/, /- 198/],
  ['a value in front of a command', 'upstream=198.51.100.9 ping', /- 212\.254\.0\.1\n/, /- 198/],
  ['a list', 'upstream=(198.51.100.9 x)', /f1:4: .*\n#.*a list/],
  ['a secret', 'mailpassword="geheim wort"', /f1:4: mailpassword=…\n/, /geheim/],
  ['a secret in a URL', 'curl https://me:geheim@example.net/', /f1:4: curl https:\/\/me:…@example/, /geheim/],
  ['signs for the terminal', 'x="\u001b[31mred\u202e"', /f1:4: x="\?\[31mred\?"/],
  ['what nobody knows', '/usr/local/bin/tell me', /f1:4: \/usr\/local\/bin\/tell me\n# {5}.*hook/],
  [
    'a copy',
    'cp -p /etc/exim4/fast.conf /etc/exim4/exim4.conf',
    /fast:\n {8}- \/etc\/exim4\/fast\.conf -> \/etc\/exim4\/exim4\.conf\n/,
  ],
  ['a copy into a folder', 'cp /etc/back/aliases /etc/', /backup:\n {8}- \/etc\/back\/aliases -> \/etc\/aliases\n/],
  ['a copy of odd names', 'cp "/etc/fast: a" /etc/b', /- \{from: "\/etc\/fast: a", to: \/etc\/b\}\n/],
  ['a copy of nobody', 'cp /etc/a /etc/b', /f1:4: .*\n#.*not clear/, /^follow/m],
  [
    'a copy in the branch of an uplink',
    'if x; then\nroute add default gw $backrouter\ncp /etc/a /etc/b\nfi',
    /backup:\n {8}- \/etc\/a -> \/etc\/b\n/,
  ],
  ['cat with >', 'cat /etc/fast.a > /etc/a', /fast:\n {8}- \/etc\/fast\.a -> \/etc\/a\n/],
  ['a reload', 'cp /etc/fast.a /etc/a\n/etc/init.d/exim4 reload >/dev/null 2>&1', /reload: \[\/etc\/init\.d\/exim4, reload\]\n/],
  ['a reload of Postfix', 'cp /etc/fast.a /etc/a\nsudo postfix reload', /reload: \[postfix, reload\]\n/],
  [
    'a reload in a variable',
    'cp /etc/fast.a /etc/a\nreloadmail="service exim4 restart"',
    /reload: \[service, exim4, restart\]\n/,
  ],
  ['newaliases alone', 'cp /etc/fast.a /etc/a\nnewaliases', /reload: \[newaliases\]\n/],
  ['a reload for a shell', 'mailreload="newaliases; postfix reload"', /f1:4: .*\n#.*sign ;/],
  [
    'smarthosts',
    'smtpfast=smtp.a.example:587\nsmtpback=smtp.b.example',
    /smarthosts:\n {4}fast: "smtp\.a\.example:587"\n {4}backup: smtp\.b\.example\n/,
  ],
  ['one smarthost for both', 'smtpfast=smtp.a.example\nsmtpback=smtp.a.example', /same mail server/, /^mail-relay/m],
  [
    'a cron line',
    '*/1 * * * * root /usr/local/sbin/route-check',
    /take away:\n# {3}f1:4: \*\/1 [^\n]*route-check\n# {5}take this line away/,
  ],
  ['a nickname of cron', '@reboot root /usr/local/sbin/route-check', /f1:4: @reboot [^\n]*\n# {5}take this line away/],
  [
    'a host route',
    'route add -host 212.254.0.1 gw 192.168.1.253',
    /take away:\n# {3}f1:4: route add[^\n]*\n# {5}take this host route/,
  ],
  ['a host route by constants', 'route add -host $upstream gw $fastrouter', /f1:4: [^\n]*\n# {5}take this host route/],
  ['a host route by ip', 'ip -4 route add 212.254.0.1/32 via 192.168.1.253 dev eth0', /f1:4: [^\n]*\n# {5}take this host route/],
  ['a host route in two words', '212.254.0.1 192.168.1.253', /f1:4: [^\n]*\n# {5}take this host route/],
  [
    'a host route of interfaces',
    '    up ip route add 212.254.0.1 via 192.168.1.253',
    /f1:4: up [^\n]*\n# {5}take this host route/,
  ],
  ['a host route by its mask', '212.254.0.1 192.168.1.253 255.255.255.255 eth0', /f1:4: [^\n]*\n# {5}take this host route/],
  ['a route to a network', 'route add -net 10.0.0.0 netmask 255.0.0.0 gw 192.168.1.9', /f1:4: [^\n]*\n# {5}a route to a network/],
];

for (const [name, line, wanted, unwanted] of LINES) {
  test(`a line: ${name}`, () => {
    const text = yaml(`${CLASSIC}${line}\n`);
    assert.match(text, wanted);
    if (unwanted !== undefined) assert.doesNotMatch(text, unwanted);
    configOf(text);
  });
}

test('constants of one file hold in the next', () => {
  const text = yaml('net=192.168.1\nupstream=up.example.net\n', 'fastrouter=$net.253\nbackrouter=$net.1\n');
  assert.equal(configOf(text).uplinks.length, 2);
  assert.match(text, /gateway: 192\.168\.1\.253/);
});

test('the host route tells upstream and router where no script does', () => {
  const config = configOf(yaml('212.254.0.1 192.168.1.253\n', 'backrouter=192.168.1.1\n'));
  assert.deepEqual(
    config.uplinks.map((uplink) => [uplink.name, uplink.targets.map((target) => target.label)]),
    [
      ['fast', ['212.254.0.1']],
      ['backup', []],
    ],
  );
});

test('a router that cannot be used takes what follows it along', () => {
  const text = yaml(`${CLASSIC}fastrouter=fe80::1\ncp /etc/fast.a /etc/a\ncp /etc/back.a /etc/a\n`);
  assert.deepEqual(
    configOf(text).uplinks.map((uplink) => uplink.name),
    ['backup'],
  );
  assert.match(text, /f1:4: [^\n]*\n#[^\n]*needs its interface/);
  assert.match(text, /f1:5: [^\n]*\n#[^\n]*no uplink fast/);
  assert.match(refused('fastrouter=fe80::1\n'), /link-local/);
});

test('one router alone makes one uplink, and says what is missing', () => {
  const text = yaml('upstream=212.254.0.1\nfastrouter=192.168.1.253\n');
  assert.equal(configOf(text).uplinks.length, 1);
  assert.match(text, /# backup: no router was found for it/);
});

test('every line that is not carried stands in a comment with its number', () => {
  const script = readFileSync(new URL('sendmail.sh', FOLDER), 'utf8');
  const text = yaml(script);
  const carried = /^(upstream_router=1|fast_gw|backup_gw|admin=| {4}cp -f \$ETC\/sendmail\.cf\.\d|service| {4}cat| {4}service)/;
  const grammar = /^\s*(#.*|case .*|esac|for .*|done|;;|\*\)|[{}]|go_\w+\(\) \{|)$/;
  const lines = script.split('\n');
  const document = lines.findIndex((line) => line.includes('<<EOF'));
  for (const [index, line] of lines.entries()) {
    const inDocument = index > document && index <= lines.indexOf('EOF');
    if (carried.test(line) || grammar.test(line) || inDocument) continue;
    assert.match(text, new RegExp(`^# {3}f1:${index + 1}: `, 'm'), `line ${index + 1}: ${line}`);
  }
});

test('what is no such script is refused with the reason', () => {
  assert.match(refused(''), /f1: no old script: it is empty/);
  assert.match(refused(' \n\t\n'), /it is empty/);
  assert.match(refused(Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0])), /it is binary/);
  assert.match(refused(Buffer.from([1, 2, 3, 4, 5, 6, 7, 8])), /it is binary/);
  assert.match(refused(Buffer.from('\ufeffupstream=1', 'utf16le')), /UTF-16/);
  assert.match(refused('<!DOCTYPE html>\n<html>upstream=192.0.2.1</html>'), /a web page/);
  assert.match(refused(`#!/usr/bin/env python3\n${CLASSIC}`), /a program for python3/);
  assert.match(refused(`#! /usr/bin/perl -w\n${CLASSIC}`), /a program for perl/);
  assert.match(refused('#include <stdio.h>\nint main(void) {\n  int a = 1;\n  return a;\n}\n'), /nothing in it is known/);
  assert.match(refused('#!/bin/sh\nls -l\nx=5\nexit 0\n'), /f1: no old script: nothing in it is known/);
  assert.match(refused('uplinks:\n  fast: {gateway: r1}\n'), /a configuration of Backroute already/);
  assert.match(refused('x'.repeat(200_000)), /128 KiB/);
  assert.match(refused('* * * * * root /usr/local/sbin/x\n'), /neither upstream nor fastrouter nor backrouter/);
  assert.match(refused('upstream=212.254.0.1\n'), /no router/);
  assert.match(refused(CLASSIC, 'ls -l\n'), /f2: no old script/);
});

test('a script from before UTF-8 is read', () => {
  assert.equal(configOf(yaml(Buffer.from(`# f\u00fcr den B\u00fcroserver\n${CLASSIC}`, 'latin1'))).uplinks.length, 2);
});

test('nothing of a script is run, and nothing is opened for it', () => {
  const dir = mkdtempSync(join(tmpdir(), 'backroute-import-'));
  try {
    const ran = join(dir, 'ran');
    const ways = [
      `$(touch ${ran})`,
      `\`touch ${ran}\``,
      `"$(touch ${ran})"`,
      `\${x:-$(touch ${ran})}`,
      `<(touch ${ran})`,
      `$((a[$(touch ${ran})]))`,
    ];
    const script = ways.map((way, index) => `x${index}=${way}\nupstream=${way}\necho ${way}\n`).join('');
    yaml(`${CLASSIC}${script}touch ${ran}\n: > ${ran}\neval "touch ${ran}"\n. ${ran}\n* * * * * root touch ${ran}\n`);
    assert.ok(!existsSync(ran));
  } finally {
    rmSync(dir, { recursive: true });
  }
});

/** Pieces of shell that hurt. */
const SPICE = [
  ...'\n;&|<>(){}[]$`"\'\\#=*? \t:-/@%.'.split(''),
  '$(',
  `\${`,
  `\${x:-`,
  '<<E\n',
  '\nE\n',
  'if ',
  'then ',
  'fi\n',
  'case x in ',
  'esac',
  'done',
  'f() {',
  'upstream=',
  'fastrouter=',
  'backrouter=',
  'fastlog=',
  'mailto=',
  'mailconf=',
  'fastmailconf=',
  'backmailconf=',
  'smtpfast=',
  'smtpback=',
  'fastif=',
  'mailreload=',
  'cp /etc/fast.a /etc/a',
  'route add -host 192.0.2.9 gw 192.168.1.253',
  '* * * * * root x',
  '192.168.1.1',
  'fe80::1',
  '2001:db8::1',
  '::1',
  '/etc/a',
  'a@b',
  '\u2028',
  '\ud800',
  'ü',
  '__proto__=',
];
const scripts = fc
  .array(fc.oneof(fc.constantFrom(...SPICE), fc.string({ maxLength: 6 })), { maxLength: 60 })
  .map((parts) => parts.join(''));

test('any text gives a valid configuration or a reason', () => {
  fc.assert(
    fc.property(scripts, fc.boolean(), (script, classic) => {
      const imported = importText(classic ? `${CLASSIC}${script}` : script);
      if (imported.ok) configOf(imported.text);
      else {
        assert.ok(imported.problems.length > 0);
        assert.doesNotMatch(imported.problems.join('\n'), /no valid whole/);
      }
    }),
    { numRuns: 3_000 },
  );
});

test('constants are found whatever stands around them', () => {
  const noise = fc.array(
    fc.constantFrom('', '# upstream=10.0.0.1', 'x=1', 'ping -c 1 $y', 'if a; then b; fi', "echo 'it''s'", 'f() { g; }'),
    {
      maxLength: 8,
    },
  );
  const quotes = fc.constantFrom<(value: string) => string>(
    (value) => value,
    (value) => `"${value}"`,
    (value) => `'${value}'`,
    (value) => `\${unset:-${value}}`,
    (value) => `"\${unset:-${value}}"`,
    (value) => `${value.slice(0, 3)}"${value.slice(3)}"`,
    (value) => `${value} # a comment`,
  );
  const prefix = fc.constantFrom('', 'export ', 'readonly ', '  ', 'typeset -r ');
  const ends = fc.constantFrom('\n', '\r\n', '\n\n');
  fc.assert(
    fc.property(fc.array(fc.tuple(noise, quotes, prefix), { minLength: 3, maxLength: 3 }), ends, (parts, end) => {
      const values = [
        ['upstream', '198.51.100.9'],
        ['fastrouter', 'router-1.example.net'],
        ['backrouter', '192.168.7.1'],
      ] as const;
      const lines = parts.flatMap(([before, quote, word], index) => {
        const [name, value] = values[index] ?? ['x', 'y'];
        return [...before, `${word}${name}=${quote(value)}`];
      });
      const [fast, backup] = configOf(yaml(lines.join(end))).uplinks;
      assert.equal(fast?.targets[0]?.label, '198.51.100.9');
      assert.deepEqual(fast?.gateways[0]?.host, { kind: 'name', name: 'router-1.example.net' });
      assert.deepEqual(backup?.gateways[0]?.host, { kind: 'address', address: '192.168.7.1', family: 4 });
    }),
    { numRuns: 500 },
  );
});

test('the worst text of the largest size is read in a moment', () => {
  const size = 128 * 1024 - CLASSIC.length;
  for (const piece of [
    '$(',
    `\${`,
    '"$(',
    '`"',
    "'",
    '"',
    '(',
    'a=(',
    `\${a:-`,
    '\\',
    '<<a\n',
    'if ',
    'x=$x$x$x\n',
    'case ',
    'a',
    'a=',
    ';;',
    '$x',
  ]) {
    const began = performance.now();
    importText(CLASSIC + piece.repeat(Math.floor(size / piece.length)));
    const tookMs = performance.now() - began;
    assert.ok(tookMs < 5_000, `${JSON.stringify(piece)}: ${tookMs} ms`);
  }
});
