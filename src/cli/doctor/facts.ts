/** What the doctor knows of a machine when it judges: plain data, gathered by collect.ts, made up by tests. */
import type { Config } from '../../core/config.js';
import type { KernelState } from '../../core/kernel.js';
import type { Family } from '../../core/model.js';

export interface Facts {
  /** null = it cannot be used; `configProblems` says why */
  readonly config: Config | null;
  readonly configProblems: readonly string[];
  /** what config/system.ts found: gateways against networks, numbers against those in use */
  readonly systemProblems: readonly { readonly severity: 'error' | 'warning'; readonly text: string }[];
  readonly kernel: KernelState;
  /** each uplink's gateways where they are found on this machine */
  readonly paths: readonly PathFact[];
  /** each `gateway: auto` of an uplink with an interface */
  readonly autos: readonly AutoFact[];
  /** the program by which hooks of DHCP clients leave hints is installed */
  readonly hintHook: boolean;
  readonly process: ProcessFact;
  /** null = none runs */
  readonly daemon: ProcessFact | null;
  readonly tools: { readonly nft: boolean; readonly ip: boolean };
  /** programs that make routes, as seen running */
  readonly programs: readonly ProgramFact[];
  /** names of route protocols */
  readonly protocols: ReadonlyMap<number, string>;
  /** null = nft is missing or refused */
  readonly ruleset: RulesetFact | null;
  /** an old iptables nat table exists, which nft does not show */
  readonly legacyNat: boolean;
  readonly targets: readonly TargetFact[];
}

export interface PathFact {
  readonly uplink: string;
  readonly family: Family;
  /** null = not known yet, or none is needed: `gateway: auto` */
  readonly gateway: string | null;
  readonly interface: string;
  /** another uplink, or the LAN, is on the same interface: one-armed */
  readonly shared: boolean;
}

export interface AutoFact {
  readonly uplink: string;
  readonly family: Family;
  readonly interface: string;
  /** who names the gateway, as core/paths/auto-gateway.ts says it; null = nobody */
  readonly source: string | null;
  /** a lease file or a hook speaks of this interface and family */
  readonly hinted: boolean;
}

export interface ProcessFact {
  readonly pid: number;
  readonly gid: number;
  readonly netAdmin: boolean;
  readonly netRaw: boolean;
}

export interface ProgramFact {
  readonly name: string;
  readonly pid: number;
}

export interface RulesetFact {
  /** masquerade and snat: by which interfaces they apply; null = by any */
  readonly nat: readonly {
    readonly family: 'ip' | 'ip6' | 'inet';
    readonly interfaces: readonly string[] | null;
    readonly except: readonly string[];
  }[];
  readonly flowtables: readonly string[];
  /** statements of others that set a mark to a number */
  readonly marks: readonly {
    /** `ip mangle PREROUTING`, as nft takes it */
    readonly chain: string;
    /** the packet's, or the connection's */
    readonly of: 'meta' | 'ct';
    /** bits that are set, 32 bits unsigned */
    readonly bits: number;
    /** bits that may be another value afterwards */
    readonly written: number;
  }[];
}

/** A target asked through one uplink with that uplink's mark. */
export interface TargetFact {
  readonly target: string;
  /** the uplinks that watch it */
  readonly watchedBy: readonly string[];
  readonly through: string;
  readonly family: Family;
  /** where the kernel would send the probe; null = nowhere, or not asked */
  readonly gateway: string | null;
  readonly device: string | null;
  readonly answers: boolean;
}

export interface Finding {
  /** stable, for programs */
  readonly id: string;
  readonly level: 'problem' | 'advice';
  readonly what: string;
  readonly why: string;
  /** a command, or a sentence where no command does it; null = nothing can be done here */
  readonly remedy: string | null;
  /** sysctls that `--fix` may set: key, value */
  readonly fix: readonly (readonly [key: string, value: string])[];
}
