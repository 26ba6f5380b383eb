/**
 * Joins what others know (lease files, hooks, router advertisements) to the loop, and starts only what the configuration needs: leases
 * before the kernel is looked at for the first time, the rest after the first verdicts. Decides nothing; a watcher that fails is told
 * and missed, routing goes on.
 */
import type { Config } from '../core/config.js';
import type { UplinkHint } from '../core/hint.js';
import type { KernelState } from '../core/kernel.js';
import type { Event } from '../core/messages.js';
import { splitZone } from '../core/net.js';
import type { LeaseWatcher } from '../kernel/lease/lease-watcher.js';
import type { RouterAdvertWatcher } from '../kernel/router-adverts.js';

export interface WatchersParts {
  readonly runDir: string;
  /** the kernel as last read; null = not yet */
  readonly state: () => KernelState | null;
  readonly post: (event: Event) => void;
  readonly onProblem: (text: string) => void;
}

export class Watchers {
  readonly #parts: WatchersParts;
  #leases: LeaseWatcher | null = null;
  #adverts: RouterAdvertWatcher | null = null;
  #links = '';
  #closed = false;
  #turn: Promise<void> = Promise.resolve();
  /** what leases say before anybody listens; null = it is told at once */
  #early: UplinkHint[] | null = [];

  constructor(parts: WatchersParts) {
    this.#parts = parts;
  }

  /**
   * Reads the leases: known only after the first look at the kernel they would be news, and until then a route that they have
   * overtaken would be believed. networkd's come just after: its files name interfaces by number. Never rejects.
   */
  async prepare(config: Config): Promise<void> {
    await this.#trying(() => this.#leasesFor(config));
  }

  /** The loop runs: what has been read is told, and from now on at once. */
  handOver(): void {
    const early = this.#early ?? [];
    this.#early = null;
    for (const hint of early) this.#tell(hint);
  }

  /** Starts what this configuration needs and does not run yet, and ends what it needs no more. Never rejects. */
  async configure(config: Config): Promise<void> {
    await this.#trying(async () => {
      await this.#leasesFor(config);
      await this.#advertsFor(config);
    });
  }

  /** The kernel was read: interfaces may have other names, or be new. */
  kernelSeen(state: KernelState): void {
    const links = state.links.map((link) => `${link.index} ${link.name}`).join();
    if (links === this.#links) return;
    this.#links = links;
    this.#leases?.look();
  }

  close(): void {
    this.#closed = true;
    this.#leases?.close();
    this.#adverts?.close();
  }

  /** One after the other: of two that are under way each would start its own. */
  #trying(start: () => Promise<void>): Promise<void> {
    this.#turn = this.#turn.then(start).catch((error: unknown) => {
      this.#parts.onProblem(`leases and router advertisements are not watched: ${(error as Error).message}`);
    });
    return this.#turn;
  }

  #tell(hint: UplinkHint): void {
    if (this.#early === null) this.#parts.post({ type: 'uplink-hint', hint });
    else this.#early.push(hint);
  }

  async #leasesFor(config: Config): Promise<void> {
    const wanted = config.uplinks.some((u) => u.prefix === 'auto' || u.gateways.some((g) => g.host.kind === 'auto'));
    if (wanted === (this.#leases !== null)) return;
    if (!wanted) {
      this.#leases?.close();
      this.#leases = null;
      return;
    }
    const { hintsDirectory, LeaseWatcher } = await import('../kernel/lease/lease-watcher.js');
    if (this.#closed) return;
    this.#leases = new LeaseWatcher({
      hintsDir: hintsDirectory(this.#parts.runDir),
      interfaceName: (ifindex) => this.#nameOf(ifindex),
      onProblem: this.#parts.onProblem,
    });
    await this.#leases.start((hint) => this.#tell(hint));
  }

  async #advertsFor(config: Config): Promise<void> {
    const wanted = config.routerAdvertisements === 'watch';
    if (wanted === (this.#adverts !== null)) return;
    if (!wanted) {
      this.#adverts?.close();
      this.#adverts = null;
      return;
    }
    const { RouterAdvertWatcher } = await import('../kernel/router-adverts.js');
    if (this.#closed) return;
    this.#adverts = new RouterAdvertWatcher({
      interfaceName: (ifindex) => this.#nameOf(ifindex),
      isOurs: (device, address) => this.#isOurs(device, address),
      onProblem: this.#parts.onProblem,
    });
    this.#adverts.start((advert) => this.#parts.post({ type: 'router-advert', advert }));
  }

  #nameOf(ifindex: number): string | null {
    return this.#parts.state()?.links.find((link) => link.index === ifindex)?.name ?? null;
  }

  /** The same link-local address may be ours on one link and a stranger's on another. */
  #isOurs(device: string, address: string): boolean {
    const state = this.#parts.state();
    const index = state?.links.find((link) => link.name === device)?.index;
    const [bare] = splitZone(address);
    return state?.addresses.some((own) => own.ifindex === index && own.address === bare) === true;
  }
}
