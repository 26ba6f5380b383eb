/**
 * One network card for everything. As it is, the gateway sees half of each connection: nothing is remembered, routing fails over
 * all the same. With `masquerade: true` it sees all of it, and connections are treated as with two cards. Needs root.
 */
import assert from 'node:assert/strict';
import { startCall } from '../../../src/lab/traffic/call.js';
import { startStream } from '../../../src/lab/traffic/stream.js';
import { eventually, flowing, lasting } from '../proof/gateway.js';
import { failedMs, lastOf, measured, newOnesGoBy, ourTable, PROMPT_MS, quicker, resumedMs, tracked, wayProof } from './way.js';

const FAMILIES = [4, 6] as const;

wayProof(
  'one-armed without masquerade: nothing is remembered, the way out changes all the same, and doctor says why',
  { topology: 'classic', config: quicker('classic', { families: FAMILIES }) },
  async (gateway) => {
    const { lab } = gateway;
    const meters = [await lab.meter({ family: 4 }), await lab.meter({ family: 6 })];
    for (const family of FAMILIES) await gateway.goesBy('fast', family);
    for (const meter of meters) await flowing(meter);
    const cut = await lab.cut('fast', 'silent');
    for (const family of FAMILIES) await gateway.goesBy('backup', family);
    for (const meter of meters) await flowing(meter);
    const back = await lab.mend('fast');
    for (const family of FAMILIES) await gateway.goesBy('fast', family);
    for (const meter of meters) {
      await flowing(meter);
      assert.equal((await meter.stats(back.monotonicMs)).lost, 0, 'nothing is lost on the way back');
      await meter.stop();
    }
    assert.deepEqual(
      (await gateway.events(cut.date.getTime())).filter((one) => one.kind === 'flows'),
      [],
    );

    const table = await ourTable(gateway);
    assert.match(table, /nd-redirect/, 'the table drops the redirects of IPv6');
    assert.doesNotMatch(table, /\bct\b|masquerade|snat/, 'and does nothing else');
    assert.equal(await tracked(gateway), 0, 'nobody has switched conntrack on');
    assert.doesNotMatch(await gateway.ip('rule'), /lookup 71(6[4-9]|[7-9]\d)/, 'no rule for connections');

    const { stdout } = await gateway.backroute('doctor');
    assert.match(stdout, /sees half of each connection by lan0: they are not remembered/);
    assert.match(stdout, /masquerade: true in the config makes it whole/);
  },
);

wayProof(
  'one-armed with masquerade: connections are remembered by next hop and MAC, ended promptly, and drained without loss',
  {
    topology: 'classic',
    config: quicker('classic', { families: FAMILIES, top: { masquerade: true } }),
  },
  async (gateway) => {
    const { lab } = gateway;
    for (const family of FAMILIES) await gateway.goesBy('fast', family);
    const table = await ourTable(gateway);
    assert.match(table, /rt ip nexthop 192\.168\.1\.253/);
    assert.match(table, /rt ip6 nexthop fe80::253/);
    await eventually('the routers are known by their MAC', async () => /ether saddr/.test(await ourTable(gateway)));

    const flows = await Promise.all(
      FAMILIES.map(async (family) => ({
        family,
        call: await startCall(lab, { family }),
        // It only receives: nobody but we can tell it.
        download: await startStream(lab, { family, reconnectMs: 50 }),
      })),
    );
    const cut = await lab.cut('fast', 'silent');
    for (const { family, call, download } of flows) {
      const knownMs = await failedMs(gateway, 'fast', cut, family);
      await eventually(`IPv${family}: the download goes on by the backup`, async () => {
        const { connections } = await download.report();
        return connections.length > 1 && lastOf(connections).uplink === 'backup' && lastOf(connections).bytes > 0;
      });
      const [dead] = (await download.report()).connections;
      assert.equal(dead?.closed?.how, 'ECONNRESET');
      const toldMs = dead.closed.atMs - knownMs;
      const backMs = (await resumedMs(call, cut, 'backup')) - knownMs;
      const { sources } = await call.report();
      // Its first packets by the backup may still have the old entry's port: another one is no other way.
      assert.deepEqual([...new Set(sources.map((one) => one.uplink))], ['fast', 'backup']);
      measured(
        `IPv${family}: detected ${Math.round(knownMs - cut.monotonicMs)} ms after the cut; reset ${Math.round(toldMs)} ms, call back ${Math.round(backMs)} ms after that`,
      );
      assert.ok(toldMs < PROMPT_MS, `IPv${family}: the download knew after ${toldMs} ms`);
      assert.ok(backMs < PROMPT_MS, `IPv${family}: the call was back after ${backMs} ms`);
    }

    const mended = await lab.mend('fast');
    for (const family of FAMILIES) {
      await gateway.goesBy('fast', family);
      await newOnesGoBy(lab, 'fast', family);
    }
    assert.ok((await gateway.path('backup')).draining !== null);
    const meter = await lab.meter();
    await lasting(meter, 1000);
    await meter.stop();
    for (const { family, call, download } of flows) {
      const { out, back, sources, strays } = await call.stop(mended.monotonicMs);
      assert.deepEqual(
        [out.lost, back.lost, sources.at(-1)?.uplink, strays],
        [0, 0, 'backup', {}],
        `IPv${family}: the call stays and loses nothing`,
      );
      const { connections, longestGapMs } = await download.stop(mended.monotonicMs);
      const last = lastOf(connections);
      assert.equal(connections.length, 2, `IPv${family}: the download was not ended`);
      assert.equal(last.uplink, 'backup');
      measured(`IPv${family}: the drained download's longest gap ${Math.round(longestGapMs)} ms`);
    }
  },
);
