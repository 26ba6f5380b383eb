/**
 * Who is told and what follows: the text of a configuration to ServicesConfig, or to problems at their lines. A secret in
 * the file is refused, and no problem ever quotes what may be one.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RECIPES as WORKED } from '../../../src/action/telling/recipes.js';
import { parseConfig } from '../../../src/config/parse.js';
import { formatProblem } from '../../../src/config/problem.js';
import { RECIPES } from '../../../src/config/service-values.js';
import type { ChannelConfig, ServicesConfig } from '../../../src/core/services.js';
import { noServices } from '../../../src/core/services.js';
import fc from '../../support/properties.js';

const UPLINKS = 'uplinks:\n  fast: {gateway: 192.168.1.253}\n  backup: {gateway: 192.168.1.1}\n';
const FIRST_LINE = 4;

function parse(text: string): { services: ServicesConfig; warnings: string[] } {
  const result = parseConfig(UPLINKS + text, 'f');
  assert.ok(result.ok, result.ok ? '' : result.problems.map(formatProblem).join('\n'));
  return { services: result.config.services, warnings: result.warnings.map(formatProblem) };
}

function refused(text: string): string[] {
  const result = parseConfig(UPLINKS + text, 'f');
  assert.ok(!result.ok, 'the file must be refused');
  return result.problems.map(formatProblem);
}

function transport(text: string): ChannelConfig['transport'] {
  const [channel] = parse(`notify: {c: ${text}}\n`).services.channels;
  assert.ok(channel);
  return channel.transport;
}

test('without a word of them there are no services', () => {
  assert.deepEqual(parse('').services, noServices);
  assert.deepEqual(parse('notify: {}\nfollow: {}\n').services, noServices);
});

test('mail by the local program is one line', () => {
  assert.deepEqual(parse('notify:\n  admin: {mail: {to: admin@example.net}}\n').services.channels, [
    {
      name: 'admin',
      topics: ['health', 'switch', 'problem'],
      maxAgeMs: 604_800_000,
      transport: {
        kind: 'mail',
        from: 'admin@example.net',
        to: ['admin@example.net'],
        smtp: null,
        sendmail: '/usr/sbin/sendmail',
      },
    },
  ]);
});

test('port and TLS of a mail server follow from its scheme and login', () => {
  const smtp = (via: string, more = ''): unknown => {
    const mail = transport(`{mail: {to: [a@example.net], via: "${via}"${more}}}`);
    assert.ok(mail.kind === 'mail' && mail.smtp !== null);
    const { host, port, tls, login } = mail.smtp;
    return [host, port, tls, login?.user ?? null];
  };
  const login = ', user: me, password-env: PASSWORD';
  assert.deepEqual(smtp('smtp://mail.example.net'), ['mail.example.net', 25, 'opportunistic', null]);
  assert.deepEqual(smtp('smtp://mail.example.net:587'), ['mail.example.net', 587, 'starttls', null]);
  assert.deepEqual(smtp('smtp://mail.example.net', login), ['mail.example.net', 587, 'starttls', 'me']);
  assert.deepEqual(smtp('smtp://mail.example.net:2525', login), ['mail.example.net', 2525, 'starttls', 'me']);
  assert.deepEqual(smtp('smtps://mail.example.net/', login), ['mail.example.net', 465, 'tls', 'me']);
  assert.deepEqual(smtp('SMTP://[2001:db8::25]:26', ', tls: none'), ['2001:db8::25', 26, 'none', null]);
  assert.deepEqual(smtp('smtp://localhost'), ['localhost', 25, 'opportunistic', null]);
});

test('a password that may be read on the way is a warning', () => {
  const mail = '{to: a@example.net, via: "smtp://mail.example.net", user: me, password-env: P, tls: opportunistic}';
  assert.match(
    parse(`notify: {a: {mail: ${mail}}}\n`).warnings.join('\n'),
    /^f:4: warning: notify\.a\.mail\.tls:.*everyone to read.*starttls/,
  );
});

test('webhooks and their recipes', () => {
  assert.deepEqual(transport('{webhook: {url: "https://example.net/x"}}'), {
    kind: 'webhook',
    recipe: 'json',
    url: 'https://example.net/x',
    method: null,
    headers: {},
    token: null,
    room: null,
    template: null,
    contentType: null,
  });
  const matrix = transport(`
    {webhook: {recipe: matrix, url: "https://m.example.net", room: "!r:example.net", token-file: /etc/t, method: PUT,
    content-type: text/plain, template: "{{subject}}", headers: {X-A: b, X-Api-Key: {env: KEY}}}}`);
  assert.deepEqual(matrix, {
    kind: 'webhook',
    recipe: 'matrix',
    url: 'https://m.example.net',
    method: 'PUT',
    headers: { 'X-A': 'b', 'X-Api-Key': { kind: 'environment', name: 'KEY' } },
    token: { kind: 'file', path: '/etc/t' },
    room: '!r:example.net',
    template: '{{subject}}',
    contentType: 'text/plain',
  });
  const slack = transport('{webhook: {recipe: slack, url-file: /etc/slack-url}}');
  assert.deepEqual(slack.kind === 'webhook' && slack.url, { kind: 'file', path: '/etc/slack-url' });
});

test('every recipe that may be named is there, and the other way round', () => {
  assert.deepEqual([...RECIPES].sort(), Object.keys(WORKED).sort());
});

test('a URL that is itself the secret had better stand elsewhere', () => {
  const { warnings } = parse('notify: {a: {webhook: {recipe: slack, url: "https://hooks.example.net/SECRET"}}}\n');
  assert.match(warnings.join('\n'), /it is a secret.*url-file/);
  assert.doesNotMatch(warnings.join('\n'), /SECRET/);
});

test('MQTT', () => {
  assert.deepEqual(transport('{mqtt: {url: "mqtt://127.0.0.1"}}'), {
    kind: 'mqtt',
    url: 'mqtt://127.0.0.1',
    login: null,
    prefix: 'backroute',
    discovery: 'homeassistant',
  });
  const full = '{mqtt: {url: "mqtts://b.example.net:8883/", user: u, password-file: /p, prefix: site/a, discovery: off}}';
  assert.deepEqual(transport(full), {
    kind: 'mqtt',
    url: 'mqtts://b.example.net:8883',
    login: { user: 'u', password: { kind: 'file', path: '/p' } },
    prefix: 'site/a',
    discovery: null,
  });
});

test('every way to write a smarthost means the host itself', () => {
  const text =
    'mail-relay: {smarthosts: {fast: "HOST", backup: {host: b.example.net, user: u, password-env: P}}, postfix: /etc/p/}\n';
  for (const [written, relayhost] of [
    ['smtp.example.net', '[smtp.example.net]:25'],
    ['smtp.example.net:587', '[smtp.example.net]:587'],
    ['[smtp.example.net]', '[smtp.example.net]:25'],
    ['[smtp.example.net]:587', '[smtp.example.net]:587'],
    ['192.0.2.25:26', '[192.0.2.25]:26'],
    ['[192.0.2.25]:26', '[192.0.2.25]:26'],
    ['[2001:db8::25]:587', '[2001:db8::25]:587'],
  ] as const) {
    const [relay] = parse(text.replace('HOST', written)).services.followers;
    assert.ok(relay?.kind === 'mail-relay');
    assert.equal(relay.smarthosts.fast?.relayhost, relayhost, written);
    assert.equal(relay.postfixDirectory, '/etc/p');
    assert.deepEqual(relay.smarthosts.backup?.login, { user: 'u', password: { kind: 'environment', name: 'P' } });
  }
});

test('files, resolver and hooks', () => {
  const { services, warnings } = parse(`
follow:
  exim:
    copies:
      fast: ["/etc/a b -> /etc/c", {from: /etc/d, to: /etc/e}]
      backup: [{from: /etc/f, to: /etc/c}, /etc/g -> /etc/e]
    check: [/usr/sbin/exim4, -C, "/etc/a b"]
    reload: service  exim4 reload
    timeout: 5s
resolver: {dnsmasq: {servers-file: /etc/s}, servers: {fast: [192.0.2.53, "2001:DB8:0::53"], backup: ["fe80::1%eth0"]}}
hooks: {directory: off, commands: [/bin/a b, [/bin/c, "d | e"]], topics: [switch], timeout: 1m}
`);
  assert.deepEqual(warnings, []);
  assert.deepEqual(services.followers, [
    {
      kind: 'files',
      name: 'exim',
      copies: {
        fast: [
          { from: '/etc/a b', to: '/etc/c' },
          { from: '/etc/d', to: '/etc/e' },
        ],
        backup: [
          { from: '/etc/f', to: '/etc/c' },
          { from: '/etc/g', to: '/etc/e' },
        ],
      },
      check: ['/usr/sbin/exim4', '-C', '/etc/a b'],
      reload: ['service', 'exim4', 'reload'],
      timeoutMs: 5000,
    },
    {
      kind: 'resolver',
      name: 'resolver',
      how: 'dnsmasq',
      path: '/etc/s',
      pidFile: '/run/dnsmasq/dnsmasq.pid',
      servers: { fast: ['192.0.2.53', '2001:db8::53'], backup: ['fe80::1%eth0'] },
      timeoutMs: 30_000,
    },
  ]);
  assert.deepEqual(services.hooks, {
    directory: null,
    commands: [
      ['/bin/a', 'b'],
      ['/bin/c', 'd | e'],
    ],
    topics: ['switch'],
    timeoutMs: 60_000,
  });
});

test('the other resolvers', () => {
  const resolver = (how: string): unknown => {
    const [follower] = parse(`resolver:\n  ${how}\n  servers: {fast: [192.0.2.1], backup: [192.0.2.2]}\n`).services.followers;
    assert.ok(follower?.kind === 'resolver');
    return [follower.how, follower.path, follower.pidFile];
  };
  assert.deepEqual(resolver('systemd-resolved:'), ['systemd-resolved', '', null]);
  assert.deepEqual(resolver('systemd-resolved: {}'), ['systemd-resolved', '', null]);
  assert.deepEqual(resolver('resolv-conf: /etc/resolv.conf'), ['resolv.conf', '/etc/resolv.conf', null]);
});

test('an uplink of which nothing is said is a warning', () => {
  for (const [text, path] of [
    ['mail-relay: {smarthosts: {fast: h.example.net}}', 'mail-relay.smarthosts'],
    ['resolver: {systemd-resolved: {}, servers: {fast: [192.0.2.1]}}', 'resolver.servers'],
    ['follow: {x: {copies: {fast: [/a -> /b]}}}', 'follow.x.copies'],
  ] as const) {
    const { warnings } = parse(`${text}\n`);
    assert.equal(warnings.length, 1, warnings.join('\n'));
    assert.ok(warnings[0]?.startsWith(`f:4: warning: ${path}: nothing is said of backup`), warnings[0]);
  }
  const other = 'follow: {x: {copies: {fast: [/a -> /b, /c -> /d], backup: [/e -> /b]}}}\n';
  assert.match(parse(other).warnings.join('\n'), /copies\.backup: .*\/d stays as another uplink wants it/);
});

/** Bad input: where the problem must be, and a part of what must be said. */
const REFUSED: readonly (readonly [name: string, text: string, path: string, says: RegExp])[] = [
  ['an address without @', 'notify: {a: {mail: {to: root}}}', 'notify.a.mail.to', /with an @.*Did you mean root@localhost/],
  ['an address with a newline', 'notify: {a: {mail: {to: "a@b.ch\\nBcc: c@d.ch"}}}', 'notify.a.mail.to', /one line/],
  ['an address with a return', 'notify: {a: {mail: {to: a@b.ch, from: "a\\r@b.ch"}}}', 'notify.a.mail.from', /one line/],
  ['an option for an address', 'notify: {a: {mail: {to: -oQ/tmp@b.ch}}}', 'notify.a.mail.to', /before the @/],
  ['an address with a name', 'notify: {a: {mail: {to: "A <a@b.ch>"}}}', 'notify.a.mail.to', /Did you mean a@b\.ch\?/],
  ['two addresses in one', 'notify: {a: {mail: {to: "a@b.ch, c@d.ch"}}}', 'notify.a.mail.to', /in a list/],
  ['a bad domain', 'notify: {a: {mail: {to: a@b_c.ch}}}', 'notify.a.mail.to', /no domain/],
  ['nobody to write to', 'notify: {a: {mail: {to: []}}}', 'notify.a.mail.to', /at least one/],
  ['no word of whom to write to', 'notify: {a: {mail: {from: a@b.ch}}}', 'notify.a.mail.to', /is missing/],
  ['an address twice', 'notify: {a: {mail: {to: [a@b.ch, a@b.ch]}}}', 'notify.a.mail.to[1]', /already/],
  [
    'a password',
    'notify: {a: {mail: {to: a@b.ch, password: SECRET}}}',
    'notify.a.mail.password',
    /password-file:.*password-env:/,
  ],
  [
    'a password in the URL',
    'notify: {a: {mail: {to: a@b.ch, via: "smtp://u:SECRET@h"}}}',
    'notify.a.mail.via',
    /no place in the URL/,
  ],
  [
    'a password in a bare URL',
    'notify: {a: {mail: {to: a@b.ch, via: "u:SECRET@h"}}}',
    'notify.a.mail.via',
    /URL of a mail server/,
  ],
  ['a URL that is none of mail', 'notify: {a: {mail: {to: a@b.ch, via: "http://h"}}}', 'notify.a.mail.via', /such as smtp:/],
  [
    'a server without scheme',
    'notify: {a: {mail: {to: a@b.ch, via: mail.b.ch}}}',
    'notify.a.mail.via',
    /Did you mean smtp:\/\/mail/,
  ],
  ['a path behind a server', 'notify: {a: {mail: {to: a@b.ch, via: "smtp://h/x"}}}', 'notify.a.mail.via', /ends behind its port/],
  [
    'TLS on the wrong port',
    'notify: {a: {mail: {to: a@b.ch, via: "smtp://h:465"}}}',
    'notify.a.mail.via',
    /Did you mean smtps:\/\/h\?/,
  ],
  ['TLS twice', 'notify: {a: {mail: {to: a@b.ch, via: "smtps://h", tls: starttls}}}', 'notify.a.mail.tls', /first byte/],
  ['a login for sendmail', 'notify: {a: {mail: {to: a@b.ch, user: u, password-env: P}}}', 'notify.a.mail.user', /sendmail/],
  ['a user without password', 'notify: {a: {mqtt: {url: "mqtt://h", user: u}}}', 'notify.a.mqtt.user', /password-file/],
  ['a password without user', 'notify: {a: {mqtt: {url: "mqtt://h", password-env: P}}}', 'notify.a.mqtt', /Add user:/],
  [
    'a password at two places',
    'notify: {a: {mqtt: {url: "mqtt://h", user: u, password-env: P, password-file: /p}}}',
    'notify.a.mqtt.password-env',
    /Keep one/,
  ],
  [
    'a relative path',
    'notify: {a: {mqtt: {url: "mqtt://h", user: u, password-file: p}}}',
    'notify.a.mqtt.password-file',
    /absolute/,
  ],
  ['a variable that is none', 'notify: {a: {webhook: {url-env: "A B"}}}', 'notify.a.webhook.url-env', /environment variable/],
  ['no way', 'notify: {a: {topics: [switch]}}', 'notify.a', /one of mail, webhook or mqtt/],
  [
    'two ways',
    'notify: {a: {mail: {to: a@b.ch}, webhook: {url: "http://h"}}}',
    'notify.a',
    /Make mail and webhook channels of their own/,
  ],
  ['no topics', 'notify: {a: {mail: {to: a@b.ch}, topics: []}}', 'notify.a.topics', /at least one/],
  ['an unknown topic', 'notify: {a: {mail: {to: a@b.ch}, topics: [Switch]}}', 'notify.a.topics[0]', /Did you mean switch/],
  ['a topic twice', 'notify: {a: {mail: {to: a@b.ch}, topics: [switch, switch]}}', 'notify.a.topics[1]', /already/],
  ['an unknown field', 'notify: {a: {mail: {to: a@b.ch, vai: sendmail}}}', 'notify.a.mail.vai', /Did you mean via\?/],
  ['a bad name', 'notify: {"a b": {mail: {to: a@b.ch}}}', 'notify.a b', /name of a channel/],
  ['a list of channels', 'notify: [a]', 'notify', /a mapping is wanted/],
  ['too long a life', 'notify: {a: {mail: {to: a@b.ch}, max-age: 1y}}', 'notify.a.max-age', /units are/],
  [
    'an unknown recipe',
    'notify: {a: {webhook: {recipe: slak, url: "http://h"}}}',
    'notify.a.webhook.recipe',
    /Did you mean slack/,
  ],
  ['a webhook without URL', 'notify: {a: {webhook: {recipe: ntfy}}}', 'notify.a.webhook', /url is missing/],
  ['another scheme', 'notify: {a: {webhook: {url: "ftp://h/SECRET"}}}', 'notify.a.webhook.url', /https:/],
  ['a login in a webhook', 'notify: {a: {webhook: {url: "https://u:SECRET@h/"}}}', 'notify.a.webhook.url', /token-file/],
  ['two URLs', 'notify: {a: {webhook: {url: "https://h/SECRET", url-env: U}}}', 'notify.a.webhook.url', /Keep one/],
  ['a token', 'notify: {a: {webhook: {url: "https://h/", token: SECRET}}}', 'notify.a.webhook.token', /token-file:/],
  [
    'a token as a header',
    'notify: {a: {webhook: {url: "https://h/", headers: {Authorization: Bearer SECRET}}}}',
    'notify.a.webhook.headers.Authorization',
    /\{file: .*\{env: NAME\}/,
  ],
  [
    'a key as a header',
    'notify: {a: {webhook: {url: "https://h/", headers: {X-API-Key: SECRET}}}}',
    'notify.a.webhook.headers.X-API-Key',
    /a secret/,
  ],
  [
    'a header with a newline',
    'notify: {a: {webhook: {url: "https://h/", headers: {X-A: "b\\nX-SECRET: d"}}}}',
    'notify.a.webhook.headers.X-A',
    /one line/,
  ],
  [
    'a header of no name',
    'notify: {a: {webhook: {url: "http://h/", headers: {"X A": b}}}}',
    'notify.a.webhook.headers.X A',
    /no name/,
  ],
  ['a header taken', 'notify: {a: {webhook: {url: "http://h/", headers: {Host: b}}}}', 'notify.a.webhook.headers.Host', /URL/],
  [
    'Matrix without room',
    'notify: {a: {webhook: {recipe: matrix, url: "http://h/", token-env: T}}}',
    'notify.a.webhook',
    /room is missing/,
  ],
  ['an alias', 'notify: {a: {webhook: {recipe: matrix, url: "http://h", room: "#r:h"}}}', 'notify.a.webhook.room', /alias/],
  [
    'a room elsewhere',
    'notify: {a: {webhook: {url: "http://h", room: "!r:h"}}}',
    'notify.a.webhook.room',
    /only the recipe matrix/,
  ],
  [
    'an empty template',
    'notify: {a: {webhook: {url: "http://h", template: " "}}}',
    'notify.a.webhook.template',
    /text of the message/,
  ],
  ['a broker of the web', 'notify: {a: {mqtt: {url: "http://h"}}}', 'notify.a.mqtt.url', /mqtt:/],
  ['a login in a broker', 'notify: {a: {mqtt: {url: "mqtt://u:SECRET@h"}}}', 'notify.a.mqtt.url', /password-file/],
  ['a wildcard', 'notify: {a: {mqtt: {url: "mqtt://h", prefix: a/#}}}', 'notify.a.mqtt.prefix', /no #/],
  ['one topic for both', 'notify: {a: {mqtt: {url: "mqtt://h", prefix: homeassistant}}}', 'notify.a.mqtt.discovery', /their own/],
  [
    'an unknown uplink',
    'mail-relay: {smarthosts: {fsat: h.ch}}',
    'mail-relay.smarthosts.fsat',
    /there are fast, backup.*mean fast/,
  ],
  [
    'one smarthost for two',
    'mail-relay: {smarthosts: {fast: h.ch, backup: "[H.ch]:587"}}',
    'mail-relay.smarthosts.backup',
    /uplink fast has the same/,
  ],
  ['smarthosts without their section', 'smarthosts: {fast: h.ch}', 'smarthosts', /belongs under mail-relay:/],
  ['no smarthosts', 'mail-relay: {smarthosts: {}}', 'mail-relay.smarthosts', /at least one uplink/],
  ['no word of smarthosts', 'mail-relay: {timeout: 5s}', 'mail-relay.smarthosts', /is missing/],
  ['a list for a smarthost', 'mail-relay: {smarthosts: {fast: [h.ch]}}', 'mail-relay.smarthosts.fast', /a mapping is wanted/],
  ['a URL for a smarthost', 'mail-relay: {smarthosts: {fast: "smtp://h.ch"}}', 'mail-relay.smarthosts.fast', /not a URL/],
  [
    'a password of a smarthost',
    'mail-relay: {smarthosts: {fast: {host: h.ch, user: u, password: SECRET}}}',
    'mail-relay.smarthosts.fast.password',
    /password-file:/,
  ],
  ['a relative folder', 'mail-relay: {smarthosts: {fast: h.ch}, postfix: etc}', 'mail-relay.postfix', /absolute path/],
  ['no patience', 'mail-relay: {smarthosts: {fast: h.ch}, timeout: 10ms}', 'mail-relay.timeout', /too small/],
  ['a pipe', 'follow: {x: {copies: {fast: [/a -> /b]}, reload: a | b}}', 'follow.x.reload', /sign \|.*list.*script/],
  ['quotes', "follow: {x: {copies: {fast: [/a -> /b]}, check: sh -c 'a'}}", 'follow.x.check', /sign '/],
  ['a variable', 'follow: {x: {copies: {fast: [/a -> /b]}, check: a $b}}', 'follow.x.check', /sign \$/],
  ['a relative program', 'follow: {x: {copies: {fast: [/a -> /b]}, check: [./a]}}', 'follow.x.check[0]', /whole path/],
  ['no command', 'follow: {x: {copies: {fast: [/a -> /b]}, check: []}}', 'follow.x.check', /at least one/],
  ['an empty command', 'follow: {x: {copies: {fast: [/a -> /b]}, check: ""}}', 'follow.x.check', /a command is wanted/],
  ['relative copies', 'follow: {x: {copies: {fast: [a -> b]}}}', 'follow.x.copies.fast[0]', /absolute/],
  ['no arrow', 'follow: {x: {copies: {fast: [/a /b]}}}', 'follow.x.copies.fast[0]', /->/],
  ['half a copy', 'follow: {x: {copies: {fast: [{from: /a}]}}}', 'follow.x.copies.fast[0].to', /absolute/],
  ['no copies', 'follow: {x: {copies: {fast: []}}}', 'follow.x.copies.fast', /at least one/],
  ['a copy of itself', 'follow: {x: {copies: {fast: [/a -> /a]}}}', 'follow.x.copies.fast[0]', /over itself/],
  ['one target twice', 'follow: {x: {copies: {fast: [/a -> /b, /c -> /b]}}}', 'follow.x.copies.fast[1]', /twice/],
  ['a chain', 'follow: {x: {copies: {fast: [/a -> /b], backup: [/b -> /c]}}}', 'follow.x.copies.backup[0]', /written over/],
  [
    'one target of two followers',
    'follow: {x: {copies: {fast: [/a -> /b]}}, y: {copies: {fast: [/c -> /b]}}}',
    'follow.y.copies',
    /x writes the same file/,
  ],
  ['a taken name', 'follow: {resolver: {copies: {fast: [/a -> /b]}}}', 'follow.resolver', /taken/],
  ['a resolver of no kind', 'resolver: {servers: {fast: [192.0.2.1]}}', 'resolver', /not said which/],
  ['two resolvers', 'resolver: {systemd-resolved: {}, resolv-conf: /r, servers: {fast: [192.0.2.1]}}', 'resolver', /one only/],
  ['too much said', 'resolver: {systemd-resolved: {a: b}, servers: {fast: [192.0.2.1]}}', 'resolver.systemd-resolved', /nothing/],
  [
    'a name for a name server',
    'resolver: {resolv-conf: /r, servers: {fast: [ns.ch]}}',
    'resolver.servers.fast[0]',
    /before it answers/,
  ],
  ['no name servers', 'resolver: {resolv-conf: /r, servers: {fast: []}}', 'resolver.servers.fast', /at least one/],
  [
    'a name server twice',
    'resolver: {resolv-conf: /r, servers: {fast: [192.0.2.1, 192.0.2.1]}}',
    'resolver.servers.fast[1]',
    /already/,
  ],
  ['hooks of nothing', 'hooks: {directory: off}', 'hooks', /nothing would ever be run/],
  ['a hook in a relative folder', 'hooks: {directory: hooks.d}', 'hooks.directory', /absolute/],
  ['no hooks', 'hooks: {commands: []}', 'hooks.commands', /at least one/],
  ['a hook for a shell', 'hooks: {commands: [a && b]}', 'hooks.commands[0]', /sign &/],
  ['a hook with a relative path', 'hooks: {commands: [[a/b]]}', 'hooks.commands[0][0]', /whole path/],
];

for (const [name, text, path, says] of REFUSED) {
  test(`refused: ${name}`, () => {
    const found = refused(`${text}\n`);
    const start = `f:${FIRST_LINE}: ${path}:`;
    const match = found.find((problem) => problem.startsWith(start) && says.test(problem));
    assert.ok(match, `wanted ${start} ${says}; got\n${found.join('\n')}`);
    assert.doesNotMatch(found.join('\n'), /SECRET/, 'what may be a secret is never quoted');
  });
}

test('a mistake in one channel hides nothing of another', () => {
  const found = refused(`notify:
  a: {mail: {to: nobody}}
  b: {mqtt: {url: "mqtt://h", user: u}}
follow:
  x: {copies: {fast: [a]}}
  y: {copies: {fats: [/a -> /b]}}
mail-relay: {smarthosts: {fast: h.ch, backup: h.ch}}
`);
  assert.deepEqual(
    found.map((problem) => problem.split(': ').slice(0, 2).join(' ')),
    [
      'f:5 notify.a.mail.to',
      'f:6 notify.b.mqtt.user',
      'f:8 follow.x.copies.fast[0]',
      'f:9 follow.y.copies.fats',
      'f:10 mail-relay.smarthosts.backup',
    ],
  );
});

test('whatever stands there, it is read or refused with a place', () => {
  const odd = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 30 }),
    fc.constantFrom(
      '',
      'off',
      '-',
      'a@b',
      'a@b\nc',
      '/x',
      'smtp://h:0',
      'mqtt://',
      'http://',
      '[::1]:1',
      '[',
      'a -> b',
      '/a -> /b',
    ),
  );
  const value: fc.Arbitrary<unknown> = fc.oneof(
    odd,
    fc.array(odd, { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('fast', 'host', 'user', 'from', 'to', 'file', '__proto__'), odd, { maxKeys: 3 }),
  );
  const keyed = (...keys: string[]) => fc.dictionary(fc.constantFrom(...keys), value, { maxKeys: 4 });
  const file = fc.record(
    {
      notify: fc.dictionary(
        fc.constantFrom('a', 'b'),
        fc.record(
          {
            mail: keyed('to', 'from', 'via', 'tls', 'user', 'password-env', 'sendmail'),
            webhook: keyed('recipe', 'url', 'headers', 'token-file', 'room', 'template'),
            mqtt: keyed('url', 'user', 'prefix', 'discovery'),
            topics: value,
          },
          { requiredKeys: [] },
        ),
      ),
      'mail-relay': keyed('smarthosts', 'postfix', 'timeout'),
      follow: fc.dictionary(fc.constantFrom('x', 'resolver'), keyed('copies', 'check', 'reload')),
      resolver: keyed('dnsmasq', 'systemd-resolved', 'resolv-conf', 'servers'),
      hooks: keyed('directory', 'commands', 'topics'),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(file, (content) => {
      const text = JSON.stringify({ uplinks: { fast: { gateway: 'r1' }, backup: { gateway: 'r2' } }, ...content });
      const result = parseConfig(text, 'f');
      if (result.ok) return;
      assert.ok(result.problems.length > 0);
      for (const problem of result.problems) {
        assert.match(formatProblem(problem), /^f(:\d+)?: [^\n]*$/);
        const said = [problem.message, problem.allowed, problem.hint].join(' ');
        assert.doesNotMatch(said, /\p{Cc}/u, `only what is quoted may hold control characters: ${JSON.stringify(said)}`);
      }
    }),
    { numRuns: 400 },
  );
});
