/** `gateway: auto`: whose word counts, in which order of hearing, and what silence means. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NeighbourState, RouteState } from '../../../../src/core/kernel.js';
import type { Family } from '../../../../src/core/model.js';
import { AutoGateway } from '../../../../src/core/paths/auto-gateway.js';
import { FakeKernel } from '../../../support/fake-kernel.js';
import { foreignDefault } from '../../../support/topology.js';

const OURS = 110;
const DHCP = 16;
const RA = 9;

class Bench {
  readonly kernel = new FakeKernel();
  displaced: RouteState[] = [];
  auto: AutoGateway;
  readonly #family: Family;

  constructor(family: Family = 4, last: string | null = null) {
    this.#family = family;
    this.kernel.addLink('lo');
    this.kernel.addLink('wan0');
    this.kernel.addAddress('wan0', family === 4 ? '10.0.0.2/24' : 'fd00:5::2/64');
    this.auto = new AutoGateway(family, last);
  }

  /** As after a restart, or a reload that asks the path anew. */
  again(last: string | null = this.address): this {
    this.auto = new AutoGateway(this.#family, last);
    return this;
  }

  route(via: string, change: Partial<RouteState> = {}): this {
    assert.equal(
      this.kernel.foreign({ op: 'route-append', route: foreignDefault(this.kernel, via, 'wan0', { protocol: DHCP, ...change }) }),
      null,
    );
    return this;
  }

  gone(via: string): this {
    const route = this.kernel.state.routes.find((r) => r.destination === 'default' && r.nexthops[0]?.gateway === via);
    assert.ok(route !== undefined);
    this.kernel.foreign({ op: 'route-delete', route });
    return this;
  }

  hint(gateway: string | null, source = 'lease'): this {
    this.auto.hear({ interface: 'wan0', family: this.#family, source, gateway, prefix: null });
    return this;
  }

  /** Looks, and gives what was found. */
  look(): string | null {
    const link = this.kernel.link('wan0');
    this.auto.see({ state: this.kernel.state, link, ownProtocol: OURS, displaced: this.displaced });
    return this.address;
  }

  get address(): string | null {
    return this.auto.current?.address ?? null;
  }

  get source(): string | null {
    return this.auto.current?.source ?? null;
  }
}

test('the route in force names it; our own proves nothing, nor do others of another link, table or kind', () => {
  const bench = new Bench();
  bench.kernel.addLink('wan1');
  bench.kernel.addAddress('wan1', '10.1.0.2/24');
  bench.kernel.foreign({ op: 'route-append', route: foreignDefault(bench.kernel, '10.1.0.1', 'wan1', { metric: 5 }) });
  bench.route('10.0.0.7', { protocol: OURS }).route('10.0.0.8', { table: 9999 });
  assert.equal(bench.look(), null);
  bench.route('10.0.0.1', { metric: 100 });
  assert.equal(bench.look(), '10.0.0.1');
  assert.equal(bench.source, 'route of dhcp');
});

test('of two routes of one program the better one counts', () => {
  assert.equal(new Bench().route('10.0.0.9', { metric: 200 }).route('10.0.0.1', { metric: 100 }).look(), '10.0.0.1');
});

test('a hop of a route with several is as good as a route of its own', () => {
  const bench = new Bench();
  bench.kernel.addLink('wan1');
  bench.kernel.addAddress('wan1', '10.1.0.2/24');
  const hops = ['10.1.0.1', '10.0.0.1'].map((gateway, i) => ({ ifindex: 3 - i, gateway, onlink: false }));
  bench.route('10.0.0.1', { nexthops: hops, protocol: 4 });
  assert.equal(bench.look(), '10.0.0.1');
});

test('the word that changed last wins, whoever says it', () => {
  const bench = new Bench().route('10.0.0.1', { metric: 100 });
  bench.look();
  assert.equal(bench.hint('10.0.0.9').look(), '10.0.0.9');
  assert.equal(bench.look(), '10.0.0.9', 'the route says what it said before: no news');
  bench.gone('10.0.0.1').route('10.0.0.5', { metric: 100 });
  assert.equal(bench.look(), '10.0.0.5');
  assert.equal(bench.hint('10.0.0.9').look(), '10.0.0.5', 'a lease renewed with the same router is no news either');
});

test('route and lease of one program that differ for a moment: the newer word at each moment, and then peace', () => {
  const bench = new Bench().route('10.0.0.1', { metric: 100 }).hint('10.0.0.1');
  assert.equal(bench.look(), '10.0.0.1');
  const seen = [
    bench.hint('10.0.0.9').look(),
    bench.look(),
    bench.gone('10.0.0.1').look(),
    bench.route('10.0.0.9', { metric: 100 }).look(),
  ];
  assert.deepEqual(seen, ['10.0.0.9', '10.0.0.9', '10.0.0.9', '10.0.0.9'], 'there and never back');
});

test('who cannot be reached on the link is not believed while there is anybody else, or what was true before', () => {
  const bench = new Bench().route('10.0.0.1', { metric: 100 });
  bench.look();
  assert.equal(bench.hint('172.16.0.1').look(), '10.0.0.1');
  bench.gone('10.0.0.1');
  assert.equal(bench.look(), '10.0.0.1', 'nobody else, but it was true');
  assert.equal(new Bench().hint('172.16.0.1').look(), '172.16.0.1', 'with nothing else its address may still be to come');
});

test('silence is no news for IPv4 while the network of the link holds the router', () => {
  const bench = new Bench().route('10.0.0.1');
  bench.look();
  assert.equal(bench.gone('10.0.0.1').look(), '10.0.0.1');
  bench.kernel.removeAddresses('wan0', 4);
  assert.equal(bench.look(), null);
});

test('an IPv6 router that takes its advertisement back is gone', () => {
  const bench = new Bench(6).route('fe80::1', { protocol: RA, metric: 1024 });
  assert.equal(bench.look(), 'fe80::1');
  assert.equal(bench.gone('fe80::1').look(), null);
  bench.route('fe80::1', { protocol: RA, metric: 1024 }).look();
  bench.gone('fe80::1').kernel.setAdmin('wan0', false);
  assert.equal(bench.look(), 'fe80::1', 'with the link down nobody can say anything');
});

test('of several routers that advertise themselves the preferred one, and among equals the one in use', () => {
  const ra = { protocol: RA, metric: 1024 } as const;
  const bench = new Bench(6).route('fe80::a', { ...ra, preference: 'low' }).route('fe80::b', ra);
  assert.equal(bench.look(), 'fe80::b');
  assert.equal(bench.route('fe80::c', { ...ra, preference: 'high' }).look(), 'fe80::c');
  assert.equal(bench.route('fe80::d', { ...ra, metric: 512, preference: 'low' }).look(), 'fe80::d', 'the metric comes first');
  bench.gone('fe80::d').gone('fe80::c');
  assert.equal(bench.look(), 'fe80::b');
  bench.gone('fe80::a').route('fe80::e', ra).gone('fe80::b').look();
  assert.equal(bench.route('fe80::b', ra).look(), 'fe80::e');
  assert.equal(bench.again().look(), 'fe80::e', 'after a restart too');
});

test('a router that is no neighbour any more is passed over while another of its kind stands, until it shows itself', () => {
  const ra = { protocol: RA, metric: 1024 } as const;
  const bench = new Bench(6).route('fe80::a', { ...ra, preference: 'high' }).route('fe80::b', ra);
  const neighbour = (address: string, state: NeighbourState['state'], mac: string | null = null): string | null => {
    bench.kernel.setNeighbour({ ifindex: bench.kernel.link('wan0').index, address, family: 6, state, mac });
    return bench.look();
  };
  assert.equal(neighbour('fe80::a', 'reachable', '02:00:00:00:00:0a'), 'fe80::a');
  assert.equal(neighbour('fe80::a', 'probe', '02:00:00:00:00:0a'), 'fe80::a');
  assert.equal(neighbour('fe80::a', 'failed'), 'fe80::b');
  assert.equal(neighbour('fe80::a', 'incomplete'), 'fe80::b', 'being asked for is no answer');
  bench.kernel.applyNow([{ op: 'neighbour-delete', ifindex: bench.kernel.link('wan0').index, family: 6, address: 'fe80::a' }]);
  assert.equal(bench.look(), 'fe80::b', 'nor is being forgotten');
  assert.equal(neighbour('fe80::a', 'stale', '02:00:00:00:00:0a'), 'fe80::a', 'its advertisement shows that it lives');
  neighbour('fe80::a', 'failed');
  assert.equal(neighbour('fe80::b', 'failed'), 'fe80::a', 'no one is better than the other');
  assert.equal(neighbour('fe80::b', 'reachable', '02:00:00:00:00:0b'), 'fe80::b');
  assert.equal(bench.gone('fe80::b').look(), 'fe80::a', 'the only one there is');
});

test('a lease that has ended says nothing any more', () => {
  const bench = new Bench().hint('10.0.0.9');
  assert.equal(bench.look(), '10.0.0.9');
  bench.hint(null).route('10.0.0.1', { metric: 100 });
  assert.equal(bench.look(), '10.0.0.1');
});

test('the newest of those that stood in our place', () => {
  const bench = new Bench();
  bench.displaced = ['10.0.0.1', '10.0.0.9'].map((via) => foreignDefault(bench.kernel, via, 'wan0', { protocol: DHCP }));
  assert.equal(bench.look(), '10.0.0.9');
});

test('a route of former times is as old as it is, whatever others of its protocol come and go', () => {
  const bench = new Bench();
  bench.displaced = [foreignDefault(bench.kernel, '10.0.0.1', 'wan0', { protocol: DHCP })];
  assert.equal(bench.look(), '10.0.0.1');
  assert.equal(bench.hint('10.0.0.254').look(), '10.0.0.254');
  for (const via of ['10.0.0.254', '10.0.0.1']) {
    assert.equal(bench.route(via, { metric: 500 }).look(), '10.0.0.254');
    assert.equal(bench.gone(via).look(), '10.0.0.254');
  }
  assert.equal(bench.route('10.0.0.7', { metric: 500 }).look(), '10.0.0.7', 'one with a new word has news');
  assert.equal(bench.gone('10.0.0.7').look(), '10.0.0.254');
});

test('a route of former times says nothing beside one of its protocol in force', () => {
  const bench = new Bench().route('10.0.0.9').route('10.0.0.1', { metric: 1 });
  assert.equal(bench.look(), '10.0.0.9');
  bench.gone('10.0.0.1').displaced = [foreignDefault(bench.kernel, '10.0.0.1', 'wan0', { protocol: DHCP, metric: 1 })];
  assert.equal(bench.look(), '10.0.0.9');
});

test('a route whose place we take says what it said in force: no news, and nothing that a later lease has overtaken', () => {
  const bench = new Bench().route('10.0.0.1');
  const take = (via: string): string | null => {
    bench.gone(via).displaced = [foreignDefault(bench.kernel, via, 'wan0', { protocol: DHCP })];
    return bench.look();
  };
  assert.equal(bench.look(), '10.0.0.1');
  assert.equal(bench.hint('10.0.0.254').look(), '10.0.0.254');
  assert.equal(take('10.0.0.1'), '10.0.0.254');
  assert.equal(bench.route('10.0.0.1').look(), '10.0.0.254', 'put back as it was');
  assert.equal(take('10.0.0.1'), '10.0.0.254');
  assert.equal(bench.route('10.0.0.9').look(), '10.0.0.9', 'this one is new');
  assert.equal(take('10.0.0.9'), '10.0.0.9');
  assert.equal(bench.hint('10.0.0.254').look(), '10.0.0.9', 'a lease as it was is not');
  assert.equal(bench.route('10.0.0.1').look(), '10.0.0.1', 'and back: new again');
});

test('a link with one other end needs no gateway, unless somebody names one', () => {
  const bench = new Bench();
  bench.kernel.addLink('ppp0', { pointToPoint: true });
  const look = (): unknown => {
    bench.auto.see({ state: bench.kernel.state, link: bench.kernel.link('ppp0'), ownProtocol: OURS, displaced: [] });
    return bench.auto.current;
  };
  assert.equal(look(), null, 'without an address it is not up yet');
  bench.kernel.addAddress('ppp0', '10.9.0.2/32', '10.9.0.1');
  assert.deepEqual(look(), { address: null, source: 'point-to-point link' });
  bench.hint('10.9.0.1', 'exit hook');
  assert.deepEqual(look(), { address: '10.9.0.1', source: 'exit hook' });
});

// ---- restarts and reloads --------------------------------------------------------------------------------------------

test('after a restart the route of former times does not win over what was known last', () => {
  const bench = new Bench();
  bench.displaced = [foreignDefault(bench.kernel, '10.0.0.1', 'wan0', { protocol: DHCP })];
  bench.look();
  assert.equal(bench.hint('10.0.0.9').look(), '10.0.0.9');
  assert.equal(bench.again().look(), '10.0.0.9');
  assert.equal(bench.hint('10.0.0.9').look(), '10.0.0.9');
  assert.equal(bench.hint('10.0.0.5').look(), '10.0.0.5', 'it is believed until somebody says otherwise');
  assert.equal(bench.hint(null).look(), '10.0.0.1', 'and then no more');
});

test('after a reload the lease that was heard before counts as before', () => {
  const bench = new Bench().route('10.0.0.1', { metric: 100 });
  bench.look();
  bench.hint('10.0.0.9').look();
  assert.equal(bench.again().hint('10.0.0.9').look(), '10.0.0.9');
  bench.gone('10.0.0.1').route('10.0.0.5', { metric: 100 }).look();
  assert.equal(bench.again().hint('10.0.0.9').look(), '10.0.0.5', 'and so does the route that came after it');
});

test('a route in force that changed while nobody was there is believed', () => {
  assert.equal(new Bench(4, '10.0.0.1').route('10.0.0.9', { metric: 100 }).look(), '10.0.0.9');
});

test('also where its predecessor, whose place we had taken, was what was known last', () => {
  const bench = new Bench(4, '10.0.0.1').route('10.0.0.9', { metric: 100 });
  bench.displaced = [foreignDefault(bench.kernel, '10.0.0.1', 'wan0', { protocol: DHCP })];
  assert.equal(bench.look(), '10.0.0.9');
});

test('an IPv6 router known of an earlier run that no longer advertises is gone', () => {
  assert.equal(new Bench(6, 'fe80::1').look(), null);
});

test('the same router in another spelling is no other one', () => {
  const bench = new Bench(6).route('fe80::1', { protocol: RA, metric: 1024 });
  bench.look();
  bench.hint('fe80::2').look();
  bench.hint('FE80:0::2', 'networkd');
  assert.equal(bench.look(), 'fe80::2');
});
