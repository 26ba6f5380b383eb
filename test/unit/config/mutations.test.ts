/** A valid file, broken at random: never an exception, always problems with a place. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../../src/config/parse.js';
import { formatProblem } from '../../../src/config/problem.js';
import fc from '../../support/properties.js';

const VALID = `# yaml-language-server: $schema=backroute.schema.json
defaults:
  targets: &targets
    - 192.0.2.1
    - {tcp: "example.com:443"}
    - http: https://example.com/
      status: [200, 204]
      expect: hello
    - {dns: example.com, server: "192.0.2.53:53", type: A}
  probe: {interval: 1s, burst: 3, burst-pace: 10ms, timeout: 1s, deadline-floor: 40ms, window: 60}
uplinks:
  fast:
    gateway: 192.168.1.253
    gateway6: fe80::1%eth0
    interface: eth0
    fail-after: 0.5s
    recover-after: 30s
    hold-down: {factor: 2, max: 10m, decay: 10m}
    degraded: {loss: 20%, loss-clear: 10%, latency: off, jitter: 50ms, policy: keep}
    quorum: 2
    tier: 1
    weight: 3
    prefix: auto
  second: {gateway: auto, gateway6: auto, interface: wan2, tier: 1, prefix: "2001:db8:5::/64"}
  backup:
    gateway: backup.example.net
    targets: *targets
    degraded: off
    metered: {probe-budget: 50MB, cap: 20GB, starts-on: 1, at-cap: disable}
masquerade: true
lan-prefix: fd00:1::/64
connections: {failover: end, failback: drain, drain: 10m, move-udp: [500, 5060], inbound: same}
via:
  voip: {from: 192.168.1.32/28, to: 203.0.113.0/24, port: udp/5060-5070, uplink: backup, fallback: block}
drill: {every: 7d, at: "04:30", uplinks: [backup], traffic: some, for: 60s}
router-advertisements: watch
log: /var/log/backroute/changes.log
on-stop: keep
socket: {group: adm, mode: "0660"}
kernel: {protocol: 110, table-base: 7100, rule-base: 700, mark-mask: 0x7f000000}
sysctls: set
notify:
  admin: {mail: {to: [a@example.net], via: "smtp://mail.example.net:587", user: me, password-file: /etc/p}, topics: [switch]}
  phone:
    webhook: {recipe: ntfy, url: "https://ntfy.example.net/x", token-env: TOKEN, headers: {X-Priority: high}}
    max-age: 1d
  house: {mqtt: {url: "mqtt://broker.example.net", discovery: off}}
mail-relay:
  smarthosts:
    fast: "[smtp.example.net]:587"
    second: smtp.example.com
    backup: {host: smtp.example.org, user: me, password-env: PASSWORD}
follow:
  exim:
    copies: {fast: [/etc/a -> /etc/b], second: [/etc/d -> /etc/b], backup: [{from: /etc/c, to: /etc/b}]}
    check: [/usr/sbin/exim4, -bV]
    reload: service exim4 reload
resolver:
  dnsmasq: {servers-file: /etc/s}
  servers: {fast: [192.0.2.53], second: [192.0.2.55], backup: [192.0.2.54]}
hooks: {directory: /etc/backroute/hooks.d, commands: [[/bin/true, x]], timeout: 30s}
`;

const lines = VALID.split('\n');

/** Bits of YAML that hurt. */
const SPICE = [
  '',
  ' ',
  ':',
  ': ',
  '- ',
  '[',
  ']',
  '{',
  '}',
  ',',
  '"',
  "'",
  '&a ',
  '*targets',
  '*nobody',
  '!!int ',
  '|',
  '>',
  '?',
  '#',
  '\t',
  '\n',
  '---\n',
  '%',
  '@',
  '-1',
  '5',
  '0.0.0.0/0',
  '::/0',
  'fd00::1/64',
  '1e9',
  '9'.repeat(30),
  'null',
  '~',
  '<<',
  '__proto__',
  'constructor',
  'fe80:::1',
  '1.2.3',
  'é',
  '\u0007',
  '\u2028',
];

type Mutation = (text: string) => string;

const position = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(position, fc.constantFrom(...SPICE)).map(
    ([at, spice]): Mutation =>
      (text) => {
        const index = Math.floor(at * text.length);
        return text.slice(0, index) + spice + text.slice(index);
      },
  ),
  fc.tuple(position, fc.nat({ max: 12 })).map(
    ([at, length]): Mutation =>
      (text) => {
        const index = Math.floor(at * text.length);
        return text.slice(0, index) + text.slice(index + length);
      },
  ),
  fc.tuple(position, fc.constantFrom(...lines)).map(
    ([at, line]): Mutation =>
      (text) => {
        const parts = text.split('\n');
        parts.splice(Math.floor(at * parts.length), 1, line);
        return parts.join('\n');
      },
  ),
  fc.tuple(position, position).map(
    ([from, to]): Mutation =>
      (text) => {
        const parts = text.split('\n');
        const [moved] = parts.splice(Math.floor(from * parts.length), 1);
        parts.splice(Math.floor(to * parts.length), 0, moved ?? '');
        return parts.join('\n');
      },
  ),
  position.map(
    (at): Mutation =>
      (text) =>
        text.slice(0, Math.floor(at * text.length)),
  ),
);

test('the unbroken file is valid', () => {
  const result = parseConfig(VALID, 'f');
  assert.ok(result.ok, result.ok ? '' : result.problems.map(formatProblem).join('\n'));
  assert.deepEqual(result.warnings, []);
});

test('a broken file is told with lines', () => {
  fc.assert(
    fc.property(fc.array(mutation, { minLength: 1, maxLength: 4 }), (mutations) => {
      const text = mutations.reduce((before, mutate) => mutate(before), VALID);
      const count = text.split('\n').length;
      const result = parseConfig(text, 'f');
      if (result.ok) return;
      assert.ok(result.problems.length > 0);
      for (const problem of result.problems) {
        assert.ok(!formatProblem(problem).includes('\n'));
        // A file that is empty as a whole has no line to show.
        if (/says nothing/.test(problem.message)) continue;
        assert.ok(problem.line >= 1 && problem.line <= count && problem.column >= 1, formatProblem(problem));
      }
    }),
    { numRuns: 500 },
  );
});

test('any text at all is borne', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.string(),
        fc.array(fc.constantFrom(...SPICE, 'uplinks', 'a')).map((parts) => parts.join('')),
      ),
      (text) => {
        const result = parseConfig(text, 'f');
        assert.ok(!result.ok && result.problems.length > 0);
      },
    ),
    { numRuns: 500 },
  );
});
