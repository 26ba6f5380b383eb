/** Links as people write them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { perfectLink } from '../../../src/lab/emulator.js';
import { LabError } from '../../../src/lab/errors.js';
import { describeLink, parseLinkOption } from '../../../src/lab/link-options.js';

test('every key, every unit', () => {
  assert.deepEqual(
    parseLinkOption('fast:delay=30ms,jitter=0.5ms,loss=1.5%,rate=10mbit,queue=1s,duplicate=2%,late=3%,late-by=40ms'),
    {
      uplink: 'fast',
      link: {
        delayMs: 30,
        jitterMs: 0.5,
        loss: 0.015,
        rateKbitPerS: 10_000,
        queueMs: 1000,
        duplicate: 0.02,
        late: 0.03,
        lateByMs: 40,
      },
    },
  );
  assert.deepEqual(parseLinkOption('b:rate=512kbit').link, { rateKbitPerS: 512 });
});

for (const text of [
  'delay=3ms',
  ':delay=3ms',
  'fast:',
  'fast:speed=3',
  'fast:delay=3',
  'fast:delay=-3ms',
  'fast:loss=0.1',
  'fast:loss=101%',
  'fast:rate=0mbit',
  'fast:delay',
]) {
  test(`"${text}" is refused with a remedy`, () => {
    assert.throws(
      () => parseLinkOption(text),
      (error) => error instanceof LabError && error.remedy !== null,
    );
  });
}

test('a link in words', () => {
  assert.equal(describeLink({ ...perfectLink, delayMs: 10 }), '10 ms each way');
  assert.equal(
    describeLink({ ...perfectLink, delayMs: 10, jitterMs: 2, loss: 0.015, rateKbitPerS: 512 }),
    '10 ms each way, up to 2 ms of jitter, loss 1.5 %, 512 kbit/s',
  );
});
