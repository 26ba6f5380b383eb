/**
 * IPv4 and IPv6 of one uplink are two ways: one fails, the other goes on. And the LAN's own IPv6 prefix, translated 1:1 to that of
 * whichever provider is in use; each of them drops what does not come from its own. Needs root.
 */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { hintsDirectory } from '../../../src/kernel/lease/lease-watcher.js';
import type { Lab } from '../../../src/lab/lab.js';
import { startCall } from '../../../src/lab/traffic/call.js';
import { forwardPort } from '../../../src/lab/traffic/forward.js';
import { startStream } from '../../../src/lab/traffic/stream.js';
import { eventually, flowing, lasting } from '../proof/gateway.js';
import { failedMs, foreignSources, lastOf, measured, ourTable, PROMPT_MS, quicker, resumedMs, wayProof } from './way.js';

const HINT = fileURLToPath(new URL('../../../../packaging/dhcp/hint', import.meta.url));

wayProof(
  'an uplink is up for IPv4 and down for IPv6: two verdicts, two choices, two log lines',
  { topology: 'two-nic', config: quicker('two-nic', { families: [4, 6] }) },
  async (gateway) => {
    const { lab } = gateway;
    const meters = [await lab.meter({ family: 4 }), await lab.meter({ family: 6 })] as const;
    for (const family of [4, 6] as const) await gateway.goesBy('fast', family);
    for (const meter of meters) await flowing(meter);
    const sinceWallMs = Date.now();
    // The provider has lost its IPv6.
    await lab.exec('fast', ['nft', 'table ip6 broken {\nchain forward { type filter hook forward priority 0; drop; }\n}\n']);
    await gateway.goesBy('backup', 6);
    await flowing(meters[1]);
    assert.deepEqual(
      [(await gateway.path('fast', 4)).health, (await gateway.path('fast', 6)).health, (await gateway.path('fast', 6)).reason],
      ['up', 'down', 'upstream-silent'],
    );
    assert.deepEqual([(await gateway.family(4)).active, (await gateway.family(6)).active], ['fast', 'backup']);
    await gateway.goesBy('fast', 4);
    const told = (await gateway.events(sinceWallMs)).filter((one) => one.kind === 'switch' || one.kind === 'health');
    assert.ok(told.length >= 2 && told.every((one) => one.family === 6), JSON.stringify(told));
    assert.match(gateway.log(), /"msg":"IPv6: fast -> backup, /);
    assert.doesNotMatch(gateway.log(), /"msg":"IPv4: /);

    await lab.exec('fast', ['nft', 'delete table ip6 broken']);
    await gateway.goesBy('fast', 6);
    await flowing(meters[1]);
    assert.equal((await meters[0].stop()).lost, 0, 'IPv4 has not lost a packet');
    await meters[1].stop();
  },
);

async function newSource(lab: Lab): Promise<string | undefined> {
  const call = await startCall(lab, { family: 6 });
  return (await call.stop()).sources.at(-1)?.address;
}

const FAST = '2001:db8:1000:1::/64';
const BACKUP = '2001:db8:1100:1::/64';
const hostOf = (prefix: string) => prefix.replace('::/64', '::10');

function translated(prefixes: { readonly fast: string; readonly backup: string }) {
  return quicker('prefixes', {
    families: [4, 6],
    uplinks: { fast: { prefix: prefixes.fast }, backup: { prefix: prefixes.backup } },
    top: { 'lan-prefix': 'fd00:1::/64' },
  });
}

wayProof(
  'a translated LAN: IPv6 goes on by the other provider under its prefix, what was open ends promptly, both prefixes lead in',
  { topology: 'prefixes', config: translated({ fast: FAST, backup: BACKUP }) },
  async (gateway) => {
    const { lab } = gateway;
    await gateway.goesBy('fast', 6);
    await eventually('the prefixes stand', async () => (await ourTable(gateway)).includes(BACKUP));
    assert.equal(await newSource(lab), hostOf(FAST));
    const byFast = await startCall(lab, await forwardPort(lab, 'fast', { family: 6, port: 4000 }));
    const byBackup = await startCall(lab, await forwardPort(lab, 'backup', { family: 6, port: 4001 }));
    const { out: asked, back: answered, strays } = await byFast.stop();
    assert.ok(answered.received > 0 && asked.lost + answered.lost === 0, 'the prefix in use leads in');
    assert.deepEqual(strays, {});
    const call = await startCall(lab, { family: 6 });
    const download = await startStream(lab, { family: 6, reconnectMs: 50 });
    assert.deepEqual([await foreignSources(lab, 'fast'), await foreignSources(lab, 'backup')], [0, 0]);

    const cut = await lab.cut('fast', 'silent');
    const knownMs = await failedMs(gateway, 'fast', cut, 6);
    await gateway.goesBy('backup', 6);
    await eventually('the download goes on', async () => {
      const last = lastOf((await download.report()).connections);
      return last.uplink === 'backup' && last.bytes > 0;
    });
    const backMs = (await resumedMs(call, cut, 'backup')) - knownMs;
    const [dead, next] = (await download.report()).connections;
    const toldMs = (dead?.closed?.atMs ?? Number.NaN) - knownMs;
    const anewMs = (next?.openedMs ?? Number.NaN) - knownMs;
    const inFlight = await foreignSources(lab, 'backup');
    measured(
      `translated: reset ${Math.round(toldMs)} ms, next connection ${Math.round(anewMs)} ms, call back ${Math.round(backMs)} ms after the detection; ${inFlight} packets with the old prefix`,
    );
    assert.equal(dead?.closed?.how, 'ECONNRESET');
    for (const ms of [toldMs, backMs, anewMs]) assert.ok(ms < PROMPT_MS, `${ms} ms`);
    assert.equal((await call.report()).sources.at(-1)?.address, hostOf(BACKUP));
    assert.equal(await newSource(lab), hostOf(BACKUP));
    const meter = await lab.meter({ family: 6 });
    await lasting(meter, 500);
    assert.equal((await meter.stop()).lost, 0);
    assert.equal(await foreignSources(lab, 'backup'), inFlight, 'once they are ended nothing more comes with the wrong prefix');

    const mended = await lab.mend('fast');
    await gateway.goesBy('fast', 6);
    await eventually('new ones have the first prefix again', async () => (await newSource(lab)) === hostOf(FAST));
    const { out, back } = await call.stop(mended.monotonicMs);
    assert.deepEqual([out.lost, back.lost], [0, 0], 'the call finishes under the prefix that it has, and loses nothing');
    await download.stop();
    const visited = await byBackup.stop();
    assert.deepEqual([visited.out.lost, visited.back.lost, visited.strays], [0, 0, {}], 'inbound by the backup was never hurt');
    assert.equal(await foreignSources(lab, 'fast'), 0);
  },
);

wayProof(
  'a delegated prefix: what the hook says is the translation, and changes while traffic flows',
  { topology: 'prefixes', config: translated({ fast: 'auto', backup: 'auto' }) },
  async (gateway) => {
    const { lab } = gateway;
    const hint = (...words: readonly string[]) =>
      lab.exec('gateway', ['env', `BACKROUTE_HINTS=${hintsDirectory(gateway.runDir)}`, HINT, ...words]);
    await gateway.goesBy('fast', 6);
    assert.doesNotMatch(await ourTable(gateway), /prefixes-out/, 'nobody has said a prefix');
    // A /56: its first network of the LAN's size is taken.
    await hint('wan1', '6', 'odhcp6c', 'prefix=2001:db8:1000::/56');
    await hint('wan2', '6', 'dhcpcd', 'prefix=2001:db8:1100:7::/64');
    await eventually('both prefixes are translated to', async () => {
      const table = await ourTable(gateway);
      return table.includes('2001:db8:1000::/64') && table.includes('2001:db8:1100:7::/64');
    });
    assert.equal(await newSource(lab), '2001:db8:1000::10');
    const before = await foreignSources(lab, 'fast');
    const call = await startCall(lab, { family: 6 });
    const meter = await lab.meter({ family: 6 });
    await flowing(meter);
    await hint('wan1', '6', 'odhcp6c', 'prefix=2001:db8:1000:2::/64');
    await eventually('the new prefix is translated to', async () => (await newSource(lab)) === '2001:db8:1000:2::10');
    const visitor = await startCall(lab, {
      family: 6,
      from: 'internet',
      to: 'client',
      listen: { address: 'fd00:1::10', port: 4000 },
      via: { address: '2001:db8:1000:2::10', port: 4000 },
    });
    await lasting(meter, 500);
    const { out, back, strays } = await visitor.stop();
    assert.ok(back.received > 0 && out.lost + back.lost === 0, 'the new prefix leads in');
    assert.deepEqual(strays, {});
    const kept = await call.stop();
    assert.deepEqual(
      kept.sources.map((one) => one.address),
      ['2001:db8:1000::10'],
      'what is open keeps its prefix',
    );
    assert.deepEqual([kept.out.lost, kept.back.lost, (await meter.stop()).lost], [0, 0, 0]);
    assert.equal(await foreignSources(lab, 'fast'), before);
    assert.equal((await gateway.switches()).filter((one) => one.includes('->')).length, 0, 'nobody was moved for it');

    await lab.cut('fast', 'silent');
    await gateway.goesBy('backup', 6);
    assert.equal(await newSource(lab), '2001:db8:1100:7::10');
    // Taken back: there is nothing to translate to any more.
    await hint('wan1', '6', 'odhcp6c');
    await eventually('the prefix is gone', async () => !(await ourTable(gateway)).includes('2001:db8:1000:2::/64'));
  },
);
