/** The worked examples of docs/services.md are read by the real parser, and its lists are complete. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { factsOf } from '../../../src/action/hooks.js';
import { FIELD_NAMES } from '../../../src/action/telling/fields.js';
import { channelProblems } from '../../../src/action/telling/telling.js';
import { parseConfig } from '../../../src/config/parse.js';
import { formatProblem } from '../../../src/config/problem.js';
import type { Notice } from '../../../src/core/action.js';

const root = new URL('../../../../', import.meta.url);
const text = readFileSync(new URL('docs/services.md', root), 'utf8');
const UPLINKS = 'uplinks: {fast: {gateway: 192.168.1.253}, backup: {gateway: 192.168.1.1}}\n';

function examplesIn(markdown: string): string[] {
  return [...markdown.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, example = '']) => example);
}

test('the examples of the README are valid', () => {
  const examples = examplesIn(readFileSync(new URL('README.md', root), 'utf8'));
  assert.ok(examples.length >= 2);
  for (const example of examples) {
    const result = parseConfig(example.startsWith('uplinks:') ? example : `${UPLINKS}${example}`, 'README.md');
    assert.ok(result.ok, result.ok ? '' : `${example}\n${result.problems.map(formatProblem).join('\n')}`);
  }
});

test('every example is valid, and what the adapters know of it too', async () => {
  const examples = examplesIn(text);
  assert.ok(examples.length >= 9);
  const kinds = new Set<string>();
  for (const example of examples) {
    const result = parseConfig(`${UPLINKS}${example}`, 'docs/services.md');
    assert.ok(result.ok, result.ok ? '' : `${example}\n${result.problems.map(formatProblem).join('\n')}`);
    const { channels, followers, hooks } = result.config.services;
    for (const channel of channels) assert.deepEqual(await channelProblems(channel), [], example);
    for (const { transport } of channels) kinds.add(transport.kind);
    for (const follower of followers) kinds.add(follower.kind === 'resolver' ? follower.how : follower.kind);
    if (hooks !== null) kinds.add('hooks');
  }
  const all = ['dnsmasq', 'files', 'hooks', 'mail', 'mail-relay', 'mqtt', 'resolv.conf', 'systemd-resolved', 'webhook'];
  assert.deepEqual([...kinds].sort(), all);
});

test('every field of a template and every variable of a hook is named', () => {
  for (const name of FIELD_NAMES) assert.ok(text.includes(`\`${name}\``), name);
  const notice: Notice = {
    id: 'a',
    thread: 'a',
    wallMs: 0,
    topic: 'switch',
    severity: 'info',
    uplink: null,
    family: null,
    from: null,
    to: null,
    reason: null,
    sinceWallMs: 0,
    outageMs: null,
    subject: '',
    text: [],
    active: [],
    figures: [],
    folded: 1,
  };
  for (const name of Object.keys(factsOf(notice))) assert.ok(text.includes(`\`${name}\``), name);
});
