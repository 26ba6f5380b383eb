/** docs/operating.md and docs/json.md against the program: examples, reasons, fields, kinds. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseConfig } from '../../../src/config/parse.js';
import { formatProblem } from '../../../src/config/problem.js';
import { reasonText } from '../../../src/core/model.js';
import { busyView } from '../../support/status-views.js';

const root = new URL('../../../../', import.meta.url);
const operating = readFileSync(new URL('docs/operating.md', root), 'utf8');
const json = readFileSync(new URL('docs/json.md', root), 'utf8');

test('every example of operating.md is a configuration', () => {
  const examples = [...operating.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, example = '']) => example);
  assert.ok(examples.length >= 4);
  for (const example of examples) {
    const result = parseConfig(example, 'docs/operating.md');
    assert.ok(result.ok, result.ok ? '' : `${example}\n${result.problems.map(formatProblem).join('\n')}`);
  }
});

test('every reason that an uplink can be down for is explained', () => {
  const elsewhere = [
    'starting',
    'answers',
    'gateway-unresolved',
    'forced',
    'disabled',
    'preferred',
    'better',
    'adopted',
    'no-choice',
  ];
  for (const reason of Object.keys(reasonText)) {
    if (!elsewhere.includes(reason)) assert.ok(operating.includes(`\`${reason}\``), reason);
  }
});

test('links within the documents lead somewhere', () => {
  const anchors = [...operating.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
  const readme = readFileSync(new URL('README.md', root), 'utf8');
  const wanted = [...operating.matchAll(/\]\(#([^)]+)\)/g), ...readme.matchAll(/\]\(docs\/operating\.md#([^)]+)\)/g)];
  assert.ok(wanted.length >= 4);
  for (const [, anchor = ''] of wanted) assert.ok(anchors.includes(anchor), anchor);
  assert.ok(existsSync(new URL('packaging/hooks/lan-prefix', root)));
});

test('every field of the view stands in json.md', () => {
  const keys = new Set<string>();
  const gather = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(gather);
    else if (typeof value === 'object' && value !== null) {
      for (const [key, inner] of Object.entries(value)) {
        keys.add(key);
        gather(inner);
      }
    }
  };
  gather(busyView());
  assert.ok(keys.size > 40);
  for (const key of keys) assert.ok(json.includes(`"${key}"`), key);
});
