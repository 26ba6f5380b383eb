import assert from 'node:assert/strict';
import { test } from 'node:test';
import { followStream } from '../../../src/api/follow.js';
import type { HistoryEntry } from '../../../src/core/entry.js';
import { entry } from '../../support/status-views.js';

interface Source {
  readonly say: (entry: HistoryEntry) => void;
  readonly listeners: Set<(entry: HistoryEntry) => void>;
  readonly subscribe: (listener: (entry: HistoryEntry) => void) => () => void;
}

function source(): Source {
  const listeners = new Set<(entry: HistoryEntry) => void>();
  return {
    listeners,
    say: (said) => {
      for (const listener of listeners) listener(said);
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

async function read(reader: ReadableStreamDefaultReader<Uint8Array>, count: number): Promise<number[]> {
  const times: number[] = [];
  let text = '';
  while (times.length < count) {
    const { value, done } = await reader.read();
    if (done) break;
    text += new TextDecoder().decode(value);
    const lines = text.split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) if (line !== '') times.push((JSON.parse(line) as HistoryEntry).wallMs);
  }
  return times;
}

test('the past first, then what happens, nothing in between is lost', async () => {
  const { say, subscribe } = source();
  const reader = followStream([entry(1), entry(2)], subscribe, 'ndjson').getReader();
  say(entry(3));
  assert.deepEqual(await read(reader, 3), [1, 2, 3]);
  say(entry(4));
  assert.deepEqual(await read(reader, 1), [4]);
});

test('the first byte comes before anything happens', async () => {
  const reader = followStream([], source().subscribe, 'ndjson').getReader();
  assert.equal((await reader.read()).done, false);
});

test('a client that goes is forgotten', async () => {
  const { listeners, subscribe } = source();
  const reader = followStream([], subscribe, 'ndjson').getReader();
  assert.equal(listeners.size, 1);
  await reader.cancel();
  assert.equal(listeners.size, 0);
});

test('a client that does not read is cut off, and its memory given back', async () => {
  const { say, listeners, subscribe } = source();
  const reader = followStream([], subscribe, 'ndjson').getReader();
  for (let wallMs = 1; wallMs <= 1_000; wallMs += 1) say(entry(wallMs));
  assert.equal(listeners.size, 0);
  let text = '';
  for (let part = await reader.read(); !part.done; part = await reader.read()) text += new TextDecoder().decode(part.value);
  const lines = text.trim().split('\n');
  assert.deepEqual(JSON.parse(lines.at(-1) ?? ''), { cut: 'the client does not read fast enough' });
  assert.ok(lines.length < 400, 'what it had not fetched is gone');
});

test('a long past is no slowness', async () => {
  const { say, subscribe } = source();
  const past = Array.from({ length: 1_000 }, (_, index) => entry(index + 1));
  const reader = followStream(past, subscribe, 'ndjson').getReader();
  say(entry(1_001));
  assert.equal((await read(reader, 1_001)).at(-1), 1_001);
});

test('server-sent events carry kind and time', async () => {
  const reader = followStream([entry(5)], source().subscribe, 'sse').getReader();
  await reader.read();
  const text = new TextDecoder().decode((await reader.read()).value);
  assert.match(text, /^event: config\nid: 5\ndata: \{.*\}\n\n$/);
});
