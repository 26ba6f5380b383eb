/**
 * `run --dry-run`: a kernel that is read but never changed, and probes that go where they can go without our rules.
 * What would have been changed is printed once and from then on believed to be there, or the engine would repair for ever.
 */
import type { FollowAsk, FollowOutcome, Notice } from '../core/action.js';
import type { KernelNumbers } from '../core/config.js';
import type { FlowAsk, FlowCount, FlowCountAsk, FlowKeeper, FlowOutcome } from '../core/flow.js';
import type { Kernel, KernelChange, KernelOp, KernelState, OpResult, RouteState, SnapshotRequest } from '../core/kernel.js';
import type { Family } from '../core/model.js';
import { applyOp } from '../core/plan/kernel-model.js';
import { describeOp } from '../core/plan/op-text.js';
import type { ProbeAsk, Prober } from '../core/probe.js';
import type { Following } from './services.js';

const MAIN_TABLE = 254;
/** Replayed over each snapshot; one per object, so a long run does not grow. */
const MAX_OPS = 2_000;
const NOWHERE: KernelState = { links: [], addresses: [], routes: [], rules: [], neighbours: [], sysctls: {}, nft: null };

export class DryRunKernel implements Kernel {
  readonly #kernel: Kernel;
  readonly #numbers: KernelNumbers;
  readonly #print: (line: string) => void;
  readonly #made = new Map<string, KernelOp>();
  #real: KernelState = NOWHERE;
  #modelled: KernelState = NOWHERE;

  constructor(kernel: Kernel, numbers: KernelNumbers, print: (line: string) => void) {
    this.#kernel = kernel;
    this.#numbers = numbers;
    this.#print = print;
  }

  async snapshot(request: SnapshotRequest): Promise<KernelState> {
    this.#real = await this.#kernel.snapshot(request);
    this.#modelled = [...this.#made.values()].reduce((state, op) => applyOp(state, op).state, this.#real);
    return this.#modelled;
  }

  apply(ops: readonly KernelOp[]): Promise<readonly OpResult[]> {
    const results = ops.map((op): OpResult => {
      this.#print(describeOp(op, this.#modelled, this.#numbers));
      const { state, errno, message } = applyOp(this.#modelled, op);
      this.#modelled = state;
      const key = identity(op);
      this.#made.delete(key);
      this.#made.set(key, op);
      const oldest = this.#made.size > MAX_OPS ? this.#made.keys().next().value : undefined;
      if (oldest !== undefined) this.#made.delete(oldest);
      return { op, ok: errno === null, errno, message };
    });
    return Promise.resolve(results);
  }

  watch(onChange: (change: KernelChange) => void): void {
    this.#kernel.watch(onChange);
  }

  close(): Promise<void> {
    return this.#kernel.close();
  }

  /** What a marked probe would have met as its gateway, had the rules been made; null = nothing. */
  gatewayOfMark(mark: number, family: Family): string | null {
    const { rules, routes } = this.#modelled;
    const rule = rules.find((candidate) => candidate.family === family && candidate.mark === mark);
    const route = routes.find((r) => r.family === family && r.table === rule?.table && r.type === 'unicast');
    return route?.nexthops[0]?.gateway ?? null;
  }

  /** The gateway that traffic really takes; null = none. */
  realGateway(family: Family): string | null {
    const defaults = this.#real.routes.filter(
      (route) => route.family === family && route.table === MAIN_TABLE && route.destination === 'default' && route.tos === 0,
    );
    const best = defaults.reduce<RouteState | null>((a, b) => (a === null || b.metric < a.metric ? b : a), null);
    return best?.nexthops[0]?.gateway ?? null;
  }
}

/** Later operations on one object supersede earlier ones. */
function identity(op: KernelOp): string {
  switch (op.op) {
    case 'route-replace':
    case 'route-add':
    case 'route-append':
    case 'route-delete': {
      const { family, table, destination, metric, tos, protocol } = op.route;
      // A foreign route of the same place is another object than ours.
      const whose = op.op === 'route-delete' ? `${protocol}/${op.route.nexthops.map((hop) => hop.gateway).join()}` : '';
      return `${op.op === 'route-delete' ? 'gone' : 'route'}/${family}/${table}/${destination}/${metric}/${tos}/${whose}`;
    }
    case 'rule-add':
    case 'rule-delete':
      // Rules of one priority may differ in anything.
      return `rule/${JSON.stringify(Object.entries(op.rule).sort(([a], [b]) => (a < b ? -1 : 1)))}`;
    case 'sysctl-set':
      return `sysctl/${op.key}`;
    case 'neighbour-delete':
      return `neighbour/${op.ifindex}/${op.address}`;
    case 'nft-table':
      return 'nft';
  }
}

/**
 * Without rules a mark steers nothing. Probes of the uplink that traffic takes now go as they are, unmarked; the others are
 * judged by their gateway alone, which every on-link route reaches. That is weaker, so it is told (see `told`).
 */
export class DryRunProber implements Prober {
  readonly #prober: Prober;
  readonly #kernel: Pick<DryRunKernel, 'gatewayOfMark' | 'realGateway'>;
  readonly #told: (text: string) => void;
  readonly #toldPaths = new Set<string>();

  constructor(prober: Prober, kernel: Pick<DryRunKernel, 'gatewayOfMark' | 'realGateway'>, told: (text: string) => void) {
    this.#prober = prober;
    this.#kernel = kernel;
    this.#told = told;
  }

  ask(ask: ProbeAsk): void {
    const { family, mark, key } = ask.path;
    // Neither mark nor device: both want privileges, and a device without its rule would look for targets on the link.
    const path = { ...ask.path, mark: 0, device: null };
    const gateway = this.#kernel.gatewayOfMark(mark, family);
    if (gateway === null || gateway === this.#kernel.realGateway(family)) {
      this.#prober.ask({ ...ask, path });
      return;
    }
    if (!this.#toldPaths.has(key)) {
      this.#toldPaths.add(key);
      this.#told(`${key}: traffic does not leave by it now, and a dry run makes no rules: only its gateway ${gateway} is asked`);
    }
    this.#prober.ask({ ...ask, path, question: { kind: 'icmp' }, address: gateway });
  }

  forget(path: string): void {
    this.#prober.forget(path);
  }

  takeReadCount(): number {
    return this.#prober.takeReadCount();
  }

  close(): void {
    this.#prober.close();
  }
}

/** Tells what services would be made to do and what people would be told; carries nothing out, and says that all went well. */
export class DryRunFollowing implements Following {
  readonly #told: (text: string) => void;
  readonly #onOutcome: (outcome: FollowOutcome) => void;

  constructor(told: (text: string) => void, onOutcome: (outcome: FollowOutcome) => void) {
    this.#told = told;
    this.#onOutcome = onOutcome;
  }

  follow(ask: FollowAsk): void {
    void this.#describe(ask);
  }

  cancel(): void {
    // Nothing runs.
  }

  notify(notice: Notice): void {
    this.#told(`would tell: ${notice.subject}`);
  }

  async #describe(ask: FollowAsk): Promise<void> {
    const { FollowRunner } = await import('../action/follow-runner.js');
    const runner = new FollowRunner({ stateDirectory: '/nonexistent' }, () => undefined);
    for (const line of await runner.describe(ask)) this.#told(line);
    this.#onOutcome({ run: ask.run, ok: true, changed: false, rolledBack: null, superseded: false, text: 'a dry run' });
  }
}

/** Ends nothing: says what would be ended. */
export class DryRunFlows implements FlowKeeper {
  readonly #print: (line: string) => void;

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  end({ id, selector }: FlowAsk): Promise<FlowOutcome> {
    const which = selector.udpPorts === null ? 'connections' : `UDP flows to ports ${selector.udpPorts.join(', ')}`;
    this.#print(`end the IPv${selector.family} ${which} with mark 0x${selector.mark.toString(16)}`);
    return Promise.resolve({ id, entries: 0, resets: 0, sockets: 0, tookMs: 0, problems: [] });
  }

  prepare(): void {
    // Nothing is ended, and nothing need be ready for it.
  }

  count({ id }: FlowCountAsk): Promise<FlowCount> {
    return Promise.resolve({ id, open: null, replied: null });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
