/** ICMP errors lie in a queue that Node does not read: undrained, one of them keeps a processor busy for ever. Needs root. */
import assert from 'node:assert/strict';
import { quick } from './config-file.js';
import { flowing, lasting, proof } from './gateway.js';

const MEASURED_MS = 3000;

proof(
  'a router that reports "unreachable": acted upon at once, and the CPU stays calm',
  { topology: 'classic', config: quick('classic', { families: [4, 6] }) },
  async (gateway) => {
    const { lab } = gateway;
    await gateway.judged();
    for (const family of [4, 6] as const) await gateway.goesBy('fast', family);
    const meter = await lab.meter();
    await flowing(meter);
    const cut = await lab.cut('fast', 'unreachable');
    for (const family of [4, 6] as const) await gateway.goesBy('backup', family);
    await flowing(meter);
    const { longestGapMs } = await meter.stats(cut.monotonicMs);
    assert.ok(longestGapMs < 1500, `the client was without a way out for ${longestGapMs} ms`);

    const beforeMs = gateway.cpuMs();
    await lasting(meter, MEASURED_MS);
    const usedMs = gateway.cpuMs() - beforeMs;
    // At this rate of probes some two per cent are usual; a loop that spins takes all it can get.
    assert.ok(usedMs < 0.2 * MEASURED_MS, `${usedMs} ms of CPU in ${MEASURED_MS} ms`);
    // The router rations its complaints: what it said holds in between.
    const said = (await gateway.events(cut.date.getTime() - 500)).filter(
      (one) => one.kind === 'health' && one.from !== 'unknown',
    );
    assert.deepEqual(said.map((one) => `IPv${one.family} ${one.to} ${one.reason}`).sort(), [
      'IPv4 down unreachable',
      'IPv6 down unreachable',
    ]);

    await lab.mend('fast');
    for (const family of [4, 6] as const) await gateway.goesBy('fast', family);
  },
);
