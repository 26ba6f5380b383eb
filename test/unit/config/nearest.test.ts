/** The nearest right word. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { editDistance, nearest } from '../../../src/config/nearest.js';

const KEYS = ['gateway', 'gateway6', 'interface', 'targets', 'fail-after', 'recover-after', 'probe', 'quorum'];

test('what was probably meant', () => {
  const table: [string, string | null][] = [
    ['gatway', 'gateway'],
    ['gateways', 'gateway'],
    ['target', 'targets'],
    ['tragets', 'targets'],
    ['failAfter', 'fail-after'],
    ['fail_after', 'fail-after'],
    ['recoverafter', 'recover-after'],
    ['Probe', 'probe'],
    ['weight', null],
    ['x', null],
    ['g'.repeat(5000), null],
  ];
  for (const [word, wanted] of table) assert.equal(nearest(word, KEYS), wanted, word);
});

test('distances', () => {
  assert.equal(editDistance('', 'abc'), 3);
  assert.equal(editDistance('abc', 'abc'), 0);
  assert.equal(editDistance('abc', 'acb'), 1);
  assert.equal(editDistance('kitten', 'sitting'), 3);
});
