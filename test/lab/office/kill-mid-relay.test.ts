/** The daemon is killed between the route and the relay, again and again: after the restart both stand as they should. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Random, seedFromEnvironment } from '../../support/random.js';
import { eventually } from '../proof/gateway.js';
import { office, PORT } from './office.js';

const RANDOM_KILLS = 4;
/** A relay switch takes about half a second here. */
const LONGEST_MS = 700;

office('kill -9 between route and relay: both stand as they should after the restart', { timeout: 240_000 }, async (o) => {
  const { gateway, postfix, smarthosts } = o;
  const { lab } = gateway;
  const seed = seedFromEnvironment();
  process.stdout.write(`# BACKROUTE_SEED=${seed}\n`);
  const random = new Random(seed);
  const relayhost = (uplink: string): string => `[${lab.uplink(uplink).smarthost4}]:${PORT}`;
  const journals = (): string[] => {
    const folder = join(gateway.stateDir, 'following');
    return existsSync(folder) ? readdirSync(folder) : [];
  };
  const follows = (uplink: string): Promise<true> =>
    eventually(`the relay follows ${uplink}`, async () => {
      const [relay] = (await gateway.status()).services;
      return relay?.verified === true && relay.actual === uplink;
    });
  const kills: readonly (readonly [when: string, wait: (to: string) => Promise<unknown>])[] = [
    ['as soon as the route has changed', async () => undefined],
    ['as soon as the relay switch has begun', () => eventually('a journal', () => journals().length > 0)],
    [
      'as soon as the relay has its new host',
      (to) => eventually('main.cf', () => postfix.setting('relayhost') === relayhost(to)),
    ],
    ...Array.from({ length: RANDOM_KILLS }, () => {
      const ms = Math.round(random.between(0, LONGEST_MS));
      return [`${ms} ms after the route`, () => new Promise((resolve) => setTimeout(resolve, ms))] as const;
    }),
  ];

  await gateway.start();
  await gateway.judged();
  await follows('fast');
  let at = 'fast';
  for (const [when, wait] of kills) {
    const to = at === 'fast' ? 'backup' : 'fast';
    if (to === 'backup') await lab.cut('fast', 'silent');
    else await lab.mend('fast');
    await gateway.goesBy(to);
    await wait(to);
    await gateway.end('SIGKILL');
    await gateway.start();
    await gateway.goesBy(to);
    await follows(to);
    assert.equal(postfix.setting('relayhost'), relayhost(to), when);
    await eventually(`no journal is left: killed ${when}`, () => journals().length === 0);
    assert.ok(postfix.isRunning(), when);
    at = to;
  }
  const before = smarthosts[at]?.taken.length ?? 0;
  await o.send(1, 10);
  await eventually('a mail goes by it', () => (smarthosts[at]?.taken.length ?? 0) > before);
  assert.equal(readdirSync(postfix.config).filter((name) => name.startsWith('backroute_')).length, 1, 'one map is left');
});
