/** Names: kept fresh, never forgotten for a failure, asked no more often than said. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Agenda } from '../../../../src/core/agenda.js';
import { Names } from '../../../../src/core/paths/names.js';

function bench(lastGood: Readonly<Record<string, string>> = {}) {
  const agenda = new Agenda();
  const asked: string[] = [];
  const names = new Names(lastGood, agenda, (name, family) => asked.push(`${name}/${family}`));
  return { agenda, asked, names };
}

test('a wanted name is asked for at once, and has its last good address meanwhile', () => {
  const { asked, names } = bench({ 'gw/4': '192.0.2.1' });
  assert.equal(names.want('gw', 4), '192.0.2.1');
  assert.equal(names.want('gw', 6), null, 'the other family is another matter');
  assert.deepEqual(asked, ['gw/4', 'gw/6']);
  names.want('gw', 4);
  assert.equal(asked.length, 2, 'who wants it twice asks once');
});

test('it is refreshed after a minute; after a failure sooner, and the address stays', () => {
  const { agenda, asked, names } = bench();
  names.want('gw', 4);
  assert.equal(names.resolved('gw', 4, ['192.0.2.1'], 0), true);
  agenda.runDue(59_999);
  assert.equal(asked.length, 1);
  agenda.runDue(60_000);
  assert.equal(asked.length, 2);
  assert.equal(names.failed('gw', 4, 'EAI_AGAIN', 60_000), true);
  assert.equal(names.addressOf('gw', 4), '192.0.2.1');
  agenda.runDue(65_000);
  assert.equal(asked.length, 3);
  assert.equal(names.failed('gw', 4, 'EAI_AGAIN', 65_000), false, 'told once');
  names.resolved('gw', 4, ['192.0.2.1'], 70_000);
  assert.equal(names.failed('gw', 4, 'EAI_AGAIN', 130_000), true, 'after a success it is news again');
});

test('the address in use is kept while it is still among the answers', () => {
  const { names } = bench();
  names.want('gw', 4);
  names.resolved('gw', 4, ['192.0.2.1', '192.0.2.2'], 0);
  assert.equal(names.resolved('gw', 4, ['192.0.2.2', '192.0.2.1'], 1), false);
  assert.equal(names.addressOf('gw', 4), '192.0.2.1');
  assert.equal(names.resolved('gw', 4, ['192.0.2.2'], 2), true);
  assert.equal(names.addressOf('gw', 4), '192.0.2.2');
  assert.equal(names.resolved('gw', 4, [], 3), false, 'an empty answer takes nothing away');
  assert.equal(names.addressOf('gw', 4), '192.0.2.2');
});

test('what nobody wants any more is neither asked for nor remembered', () => {
  const { agenda, asked, names } = bench();
  names.want('gw', 4);
  names.resolved('gw', 4, ['192.0.2.1'], 0);
  assert.deepEqual(names.lastGood(), { 'gw/4': '192.0.2.1' });
  names.unwantAll();
  agenda.runDue(100_000);
  assert.equal(asked.length, 1);
  assert.deepEqual(names.lastGood(), {});
});

test('an answer for an unknown name changes nothing', () => {
  const { names } = bench();
  assert.equal(names.resolved('gw', 4, ['192.0.2.1'], 0), false);
  assert.equal(names.addressOf('gw', 4), null);
  assert.equal(names.failed('gw', 4, 'ENOTFOUND', 0), false);
});

test('ten reloads do not make it ask ten times a minute', () => {
  const { agenda, asked, names } = bench();
  names.want('gw', 4);
  names.resolved('gw', 4, ['192.0.2.1'], 0);
  for (let reload = 1; reload <= 10; reload += 1) {
    names.unwantAll();
    names.want('gw', 4);
    names.resolved('gw', 4, ['192.0.2.1'], reload * 1_000);
  }
  const before = asked.length;
  agenda.runDue(75_000);
  assert.equal(asked.length - before, 1);
});
