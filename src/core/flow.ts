/**
 * Open connections as the core speaks of them: what it asks of whoever ends or counts them in the kernel, and what comes back.
 * src/kernel/flows/ carries it out, beside the loop: routing never waits for it.
 */
import type { ViaConfig } from './config.js';
import type { Family } from './model.js';

/** The connections meant: those of one family whose conntrack mark, under the mask, is this. */
export interface FlowSelector {
  readonly family: Family;
  readonly mark: number;
  readonly mask: number;
  /** only UDP flows to these ports; null = every connection */
  readonly udpPorts: readonly number[] | null;
  /** these are left alone although the rest fits; absent = nothing is spared */
  readonly spare?: FlowSpare;
}

/** What lawfully goes on by an uplink whose other connections are ended at the end of a drain. */
export interface FlowSpare {
  /** connections that came in from outside: their original destination is an address of this machine, or in one of `prefixes` */
  readonly inbound: boolean;
  /** outside prefixes of the 1:1 translation, `address/length`: what was addressed to them came in, too */
  readonly prefixes: readonly string[];
  /** traffic that `via` sends by this uplink; all that is given of an entry must fit */
  readonly via: readonly Pick<ViaConfig, 'source' | 'destination' | 'protocols' | 'ports'>[];
}

/** End these connections. Answered exactly once, with the same id. */
export interface FlowAsk {
  readonly id: number;
  readonly selector: FlowSelector;
  /** TCP peers on this side (LAN clients, our own sockets) are told by a reset, not left to find out */
  readonly reset: boolean;
}

export interface FlowOutcome {
  readonly id: number;
  /** conntrack entries deleted */
  readonly entries: number;
  /** TCP connections of others that were reset */
  readonly resets: number;
  /** own sockets that were ended */
  readonly sockets: number;
  readonly tookMs: number;
  /** what could not be done, as sentences with their remedy; empty = all went well */
  readonly problems: readonly string[];
}

/** How many connections there are. */
export interface FlowCountAsk {
  readonly id: number;
  readonly selector: FlowSelector;
}

export interface FlowCount {
  readonly id: number;
  /** null = could not be counted */
  readonly open: number | null;
  /** of these, how many have ever been answered */
  readonly replied: number | null;
}

export interface FlowKeeper {
  /** Never rejects. Calls for the same selector that overlap may be folded, each is answered. */
  end(ask: FlowAsk): Promise<FlowOutcome>;
  /** Connections may soon have to be ended: what takes time to start is started now. Returns at once. */
  prepare(): void;
  /** Never rejects. */
  count(ask: FlowCountAsk): Promise<FlowCount>;
  close(): Promise<void>;
}
