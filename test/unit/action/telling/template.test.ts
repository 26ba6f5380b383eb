import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FIELD_NAMES } from '../../../../src/action/telling/fields.js';
import { webhookProblems } from '../../../../src/action/telling/recipes.js';
import { renderBody, renderHeader, renderUrl, templateProblems } from '../../../../src/action/telling/template.js';
import { Random, seedFromEnvironment } from '../../../support/random.js';
import { notice } from '../outbox-bench.js';
import { webhookConfig } from './http-bench.js';

test('an unknown field, an open brace and what is no JSON are found beforehand', () => {
  assert.deepEqual(templateProblems('{"a": "{{subject}}"}', 'application/json'), []);
  assert.match(templateProblems('{{subjekt}}', 'text/plain')[0] ?? '', /unknown field \{\{subjekt\}\}; there are: id, thread/);
  assert.match(templateProblems('{{}}', 'text/plain')[0] ?? '', /unknown field/);
  assert.deepEqual(templateProblems('a {{subject', 'text/plain'), ['a {{ is not closed by }}']);
  assert.match(templateProblems('{"a": {{subject}}', 'application/json')[0] ?? '', /filled in, it is not JSON/);
  assert.match(templateProblems('{{subject}}, hello', 'application/vnd.x+json; charset=utf-8')[0] ?? '', /not JSON/);
  assert.deepEqual(templateProblems('{"a": {"b": {{family}}}}', 'application/json'), []);
  assert.deepEqual(templateProblems('{{constructor}}', 'text/plain').length, 1);
  const bad = webhookConfig('http://x/{{nope}}', { template: '{{no}}', headers: { 'X-A': '{{none}}' } });
  assert.deepEqual(
    webhookProblems(bad).map((problem) => problem.split(' ')[0]),
    ['url:', 'headers.X-A:', 'template:'],
  );
  assert.match(webhookProblems(webhookConfig('http://x', { recipe: 'nfty' }))[0] ?? '', /unknown recipe nfty/);
});

test('every field can stand inside and outside of a JSON string, whatever is in it', () => {
  const seed = seedFromEnvironment();
  const random = new Random(seed);
  const pieces = [
    '"',
    '\\',
    '\n',
    '\r',
    '\t',
    '{{id}}',
    '}}',
    '{',
    '<',
    '&',
    '\u0000',
    '\u2028',
    'ü',
    '😀',
    '$&',
    '$1',
    "'",
    'plain',
    ' ',
  ];
  const wild = (): string => Array.from({ length: 8 }, () => random.pick(pieces)).join('');
  for (let round = 0; round < 200; round += 1) {
    const text = wild();
    const one = notice(wild(), {
      subject: text,
      uplink: wild(),
      text: [wild(), wild()],
      active: [{ family: 4, uplink: wild() }],
    });
    for (const field of FIELD_NAMES) {
      const template = `{"in \\" it": "<{{ ${field} }}>", "out": {{${field}}}}`;
      const filled = JSON.parse(renderBody(template, 'application/json', one, 'gw')) as { 'in " it': string; out: unknown };
      assert.ok(filled['in " it'].startsWith('<') && filled['in " it'].endsWith('>'), `seed ${seed}, ${field}`);
      if (field === 'uplink') assert.deepEqual([filled['in " it'], filled.out], [`<${one.uplink}>`, one.uplink]);
      assert.ok(!/[\r\n]/.test(renderHeader(`{{${field}}}`, one, 'gw')), `seed ${seed}, ${field}`);
      assert.match(renderUrl(`{{${field}}}`, one, 'gw'), /^[-\w.!~*'()%]*$/, `seed ${seed}, ${field}`);
    }
  }
});

test('forms and XML are escaped in their own ways, plain text is not', () => {
  const one = notice('a', { subject: 'a&b <c> "d" ü' });
  assert.equal(
    renderBody('s={{subject}}', 'application/x-www-form-urlencoded', one, 'gw'),
    's=a%26b%20%3Cc%3E%20%22d%22%20%C3%BC',
  );
  assert.equal(renderBody('<s>{{subject}}</s>', 'text/xml', one, 'gw'), '<s>a&amp;b &lt;c&gt; &quot;d&quot; ü</s>');
  assert.equal(renderBody('{{subject}}', 'text/plain', one, 'gw'), one.subject);
  assert.equal(renderHeader('{{subject}}', one, 'gw'), '=?UTF-8?B?YSZiIDxjPiAiZCIgw7w=?=');
});
