/**
 * Router advertisements on a real wire: what another router sends is heard at once, what a host must discard is not, and a
 * router that repeats itself is told once. Needs root.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { RouterAdvert } from '../../../src/core/hint.js';
import { RouterAdvertWatcher } from '../../../src/kernel/router-adverts.js';
import { Lab } from '../../../src/lab/lab.js';
import { missingRequirement } from '../../../src/lab/requirements.js';
import { run } from '../../../src/lab/run.js';
import { until } from '../../../src/lab/until.js';
import { inside } from '../../support/inside.js';
import { AdvertSender, routerAdvert } from '../../support/router-advert.js';

const OURS = 'fe80::2';

describe('router advertisements', { skip: missingRequirement()?.message ?? false, timeout: 60_000 }, () => {
  let lab: Lab;
  let watcher: RouterAdvertWatcher;
  const senders: AdvertSender[] = [];
  const heard: { advert: RouterAdvert; atMs: number }[] = [];
  const problems: string[] = [];
  /** what the watcher takes for the time; set forward instead of waiting */
  let aheadMs = 0;
  let index: { gateway: number; client: number };

  const indexOf = async (node: string): Promise<number> => {
    const { stdout } = await run(['ip', '-n', lab.ns(node), '-j', 'link', 'show', 'dev', 'lan0']);
    return (JSON.parse(stdout) as { ifindex: number }[])[0]?.ifindex ?? 0;
  };
  const sender = (node: 'gateway' | 'client', source: string, hopLimit?: number): AdvertSender => {
    const made = inside(lab.ns(node), () => new AdvertSender(index[node], source, hopLimit));
    senders.push(made);
    return made;
  };
  /** A router of its own for each test, so that none stands in the other's way. */
  let hosts = 0x20;
  const stranger = async (): Promise<{ address: string; router: AdvertSender }> => {
    const address = `fe80::${(hosts++).toString(16)}`;
    await run(['ip', '-n', lab.ns('client'), 'addr', 'add', `${address}/64`, 'dev', 'lan0', 'nodad']);
    return { address, router: sender('client', address) };
  };
  /** Waits until an advertisement that was sent last of all has been heard: all others would have been before. */
  const fence = async (): Promise<void> => {
    const { address, router } = await stranger();
    router.send(routerAdvert());
    assert.ok(await until(() => heard.some((one) => one.advert.from === address), 5000), 'the fence is heard');
    heard.splice(
      heard.findIndex((one) => one.advert.from === address),
      1,
    );
  };

  before(async () => {
    lab = await Lab.create('two-nic');
    index = { gateway: await indexOf('gateway'), client: await indexOf('client') };
    watcher = new RouterAdvertWatcher({
      interfaceName: (ifindex) => (ifindex === index.gateway ? 'lan0' : null),
      isOurs: (_name, address) => address === OURS,
      onProblem: (text) => problems.push(text),
      nowMs: () => performance.now() + aheadMs,
    });
    inside(lab.ns('gateway'), () => watcher.start((advert) => heard.push({ advert, atMs: performance.now() })));
    await fence();
  });
  beforeEach(() => {
    heard.length = 0;
  });
  after(async () => {
    watcher?.close();
    for (const one of senders) one.close();
    await lab?.destroy();
    assert.deepEqual(problems, []);
  });

  test('a stranger is heard at once, with all that he says of himself', async (t) => {
    const { address, router } = await stranger();
    const sentMs = performance.now();
    router.send(routerAdvert({ lifetimeS: 600, mac: '02:00:00:00:00:66', prefixes: ['2001:db8:bad::/64'] }));
    assert.ok(await until(() => heard.length > 0, 5000));
    const tookMs = (heard[0]?.atMs ?? Number.NaN) - sentMs;
    t.diagnostic(`from the sending to the callback: ${tookMs.toFixed(2)} ms`);
    assert.ok(tookMs < 100);
    assert.deepEqual(heard[0]?.advert, {
      interface: 'lan0',
      from: address,
      mac: '02:00:00:00:00:66',
      lifetimeS: 600,
      prefixes: ['2001:db8:bad::/64'],
    });
  });

  test('repeated it is told once a minute, but for his withdrawal and return', async () => {
    const { router } = await stranger();
    const say = async (lifetimeS: number): Promise<void> => {
      router.send(routerAdvert({ lifetimeS }));
      await fence();
    };
    for (const lifetimeS of [1800, 1800, 900, 0, 0, 1800, 1800]) await say(lifetimeS);
    assert.deepEqual(
      heard.map((one) => one.advert.lifetimeS),
      [1800, 0, 1800],
    );
    aheadMs += 61_000;
    await say(1800);
    await say(1800);
    assert.equal(heard.length, 4);
  });

  test('what a host must discard is not told', async () => {
    const { address, router } = await stranger();
    await run(['ip', '-n', lab.ns('client'), 'addr', 'add', '2001:db8:77::1/64', 'dev', 'lan0', 'nodad']);
    sender('client', address, 64).send(routerAdvert());
    sender('client', '2001:db8:77::1').send(routerAdvert());
    router.send(routerAdvert({ more: [24, 0, 0, 0, 0, 0, 0, 0] }));
    router.send(routerAdvert().subarray(0, 12));
    router.send(Buffer.from([133, ...routerAdvert().subarray(1)]));
    await fence();
    assert.deepEqual(heard, []);
    // The very same sender is heard once he says it as he should.
    router.send(routerAdvert());
    await fence();
    assert.equal(heard.length, 1);
  });

  test('what this machine says itself is not told', async () => {
    sender('gateway', OURS).send(routerAdvert());
    await fence();
    assert.deepEqual(heard, []);
  });

  test('a flood of invented routers is no flood of reports, and is told', async () => {
    aheadMs += 61_000;
    for (let count = 0; count < 70; count++) (await stranger()).router.send(routerAdvert());
    assert.ok(await until(() => problems.length > 0, 5000));
    assert.match(problems.splice(0).join(), /more than 64 routers advertise themselves at the same time/);
    assert.equal(heard.length, 64);
    aheadMs += 61_000;
    await fence();
  });

  test('without the right to listen that is told, and nothing is thrown', { skip: process.getuid?.() !== 0 }, async () => {
    const script = `
      import { RouterAdvertWatcher } from ${JSON.stringify(new URL('../../../src/kernel/router-adverts.js', import.meta.url).href)};
      const watcher = new RouterAdvertWatcher({ interfaceName: () => null, isOurs: () => false, onProblem: console.log });
      watcher.start(() => {});
      watcher.close();`;
    const argv = ['setpriv', '--reuid=65534', '--clear-groups', '--bounding-set=-all', '--inh-caps=-all'];
    const { stdout } = await run([...argv, process.execPath, '--input-type=module', '-e', script]);
    assert.equal(stdout, 'router advertisements are not watched: the capability CAP_NET_RAW is missing\n');
  });
});
