/** A gateway in no network, reached because its route says `onlink`, as on cloud machines. Needs root. */
import assert from 'node:assert/strict';
import { run } from '../../../src/lab/run.js';
import { quick } from './config-file.js';
import { eventually, flowing, type Gateway, proof } from './gateway.js';

/** Beside the router's usual addresses; no network of the gateway holds it. */
const ROUTER = { 4: '172.31.1.1', 6: '2001:db8:aaaa::1' } as const;
const FAMILIES = [4, 6] as const;

/** The uplink `fast` as netplan's `on-link: true` leaves it: one address, and a default by a router outside of it. */
async function installed({ lab }: Gateway): Promise<void> {
  const router = (words: string) => run(['ip', '-n', lab.ns('fast'), ...words.split(' ')]);
  const gateway = (words: string) => run(['ip', '-n', lab.ns('gateway'), ...words.split(' ')]);
  await router(`addr add ${ROUTER[4]}/32 dev lan0`);
  await router(`-6 addr add ${ROUTER[6]}/128 dev lan0 nodad`);
  await gateway('-4 addr flush dev wan1');
  await gateway('addr add 10.1.0.2/32 dev wan1');
  await gateway(`route add default via ${ROUTER[4]} dev wan1 proto static onlink`);
  await gateway(`-6 route replace default via ${ROUTER[6]} dev wan1 proto static metric 1024 onlink`);
}

/** As `ip -j route` tells it. */
interface SharedRoute {
  readonly protocol?: string;
  readonly nexthops?: readonly { readonly dev: string; readonly flags: readonly string[] }[];
}

async function goesByRouter(gateway: Gateway): Promise<void> {
  for (const family of FAMILIES) {
    await eventually(`IPv${family} goes by ${ROUTER[family]}`, async () => {
      const [first] = await gateway.defaults(family);
      return first?.gateway === ROUTER[family] && first.protocol === '110' && first.flags?.includes('onlink') === true;
    });
  }
}

for (const [how, ways] of [
  ['found by itself', { gateway: 'auto', gateway6: 'auto' }],
  ['named in the file', { gateway: ROUTER[4], gateway6: ROUTER[6] }],
] as const) {
  proof(
    `a gateway with onlink, ${how}: judged, failed over from and back to, adopted after a kill, and put back`,
    {
      topology: 'two-nic',
      config: quick('two-nic', { families: FAMILIES, uplinks: { fast: { ...ways, interface: 'wan1' } } }),
      prepare: installed,
      start: false,
    },
    async (gateway) => {
      const before = await gateway.footprint();
      await gateway.start();
      await gateway.judged();
      await goesByRouter(gateway);
      const meter = await gateway.lab.meter();
      await flowing(meter);
      await gateway.lab.cut('fast', 'silent');
      for (const family of FAMILIES) await gateway.goesBy('backup', family);
      await gateway.lab.mend('fast');
      await goesByRouter(gateway);
      await flowing(meter);

      const routes = await gateway.ip('route show table all proto 110');
      await gateway.end('SIGKILL');
      await gateway.start();
      await gateway.judged();
      for (const family of FAMILIES) assert.equal((await gateway.path('fast', family)).gateway, ROUTER[family]);
      await goesByRouter(gateway);
      await flowing(meter);
      assert.equal(await gateway.ip('route show table all proto 110'), routes);

      const events = await gateway.events();
      assert.deepEqual(
        events.filter((one) => one.kind === 'drift' || one.severity === 'error').map((one) => one.text),
        [],
        'the kernel keeps what it was asked for',
      );
      assert.equal(await gateway.end('SIGTERM'), 0);
      await gateway.order('cleanup');
      assert.deepEqual(await gateway.footprint(), before);
      await meter.stop();
    },
  );
}

proof(
  'one of those that share, too: the kernel keeps the flag of a single next hop',
  {
    topology: 'two-nic',
    config: quick('two-nic', {
      families: FAMILIES,
      uplinks: { fast: { gateway: 'auto', gateway6: 'auto', interface: 'wan1', tier: 1 }, backup: { tier: 1 } },
    }),
    prepare: installed,
  },
  async (gateway) => {
    await gateway.judged();
    for (const family of FAMILIES) {
      await eventually(`IPv${family} is shared`, async () => {
        const routes = JSON.parse(await gateway.ip(`-j -${family} route show default`)) as readonly SharedRoute[];
        const hops = routes.find((route) => route.protocol === '110' && route.nexthops !== undefined)?.nexthops ?? [];
        const [onlink, other] = [hops.find((hop) => hop.dev === 'wan1'), hops.find((hop) => hop.dev === 'wan2')];
        return onlink?.flags.includes('onlink') === true && other?.flags.includes('onlink') === false;
      });
    }
    // What the kernel did not keep would be told as drift at the next look.
    const looked = (await gateway.events()).length;
    await gateway.ip('route add 203.0.113.99/32 dev wan1 metric 9');
    await gateway.ip('link set wan2 alias looked-at');
    await gateway.order('disable', 'backup');
    await goesByRouter(gateway);
    const since = (await gateway.events()).slice(looked);
    assert.deepEqual(
      since.filter((one) => one.kind === 'drift' || one.severity === 'error').map((one) => one.text),
      [],
    );
  },
);
