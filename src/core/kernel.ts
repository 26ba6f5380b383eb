/**
 * What the core knows of the kernel: a snapshot it reads and operations it asks for. The adapter in src/kernel/ speaks
 * rtnetlink; test/support/fake-kernel.ts plays the same part in memory. Nothing here does I/O.
 */
import type { Family } from './model.js';

export interface LinkState {
  readonly index: number;
  readonly name: string;
  /** IFF_UP */
  readonly adminUp: boolean;
  /** IFF_LOWER_UP: false when the cable is out */
  readonly carrier: boolean;
  /** IFF_LOOPBACK */
  readonly loopback: boolean;
  /** IFF_POINTOPOINT */
  readonly pointToPoint: boolean;
  /** IFLA_ALT_IFNAME: other names under which it is found; absent = none */
  readonly altNames?: readonly string[];
  /** IFLA_STATS64, since the interface was made; absent where the kernel does not say */
  readonly counters?: LinkCounters;
}

/** Bytes, as the interface itself counts them. */
export interface LinkCounters {
  readonly rxBytes: number;
  readonly txBytes: number;
}

export interface AddressState {
  readonly ifindex: number;
  readonly family: Family;
  readonly address: string;
  readonly prefixLength: number;
  /** peer of a point-to-point address, else null */
  readonly peer: string | null;
  /** true while IPv6 duplicate address detection still runs or has failed */
  readonly tentative: boolean;
}

export type RouteType = 'unicast' | 'unreachable' | 'blackhole' | 'prohibit' | 'other';

/** One nexthop of a route. `gateway` null = on-link. */
export interface Nexthop {
  readonly ifindex: number;
  readonly gateway: string | null;
  /** RTNH_F_ONLINK: the gateway is reached on the link even where no connected network holds it */
  readonly onlink: boolean;
  /** share of the new connections among a route's nexthops, 1..256 (rtnh_hops + 1); absent = 1 */
  readonly weight?: number;
}

export interface RouteState {
  readonly family: Family;
  readonly table: number;
  /** `default`, or `address/length` */
  readonly destination: string;
  readonly type: RouteType;
  /** rtm_protocol, see /etc/iproute2/rt_protos */
  readonly protocol: number;
  /** as the kernel says it; IPv6's 0 is written 1024 */
  readonly metric: number;
  readonly tos: number;
  /** rtm_scope; 0 universe, 253 link */
  readonly scope: number;
  readonly prefsrc: string | null;
  /** more than one = multipath; none for guards */
  readonly nexthops: readonly Nexthop[];
  /** RTA_EXPIRES or cacheinfo: a lifetime runs (RA, DHCP); not part of identity */
  readonly expires: boolean;
  /** base64 of the attributes that this snapshot does not name (MTU, metrics, encap, nexthop id …), so that it can be put back whole */
  readonly rest: string;
  /** RTA_PREF, as a router advertised itself (RFC 4191), for reading alone: `rest` has it too; absent = medium */
  readonly preference?: 'high' | 'low';
}

export interface RuleState {
  readonly family: Family;
  readonly priority: number;
  readonly table: number;
  readonly mark: number;
  readonly mask: number;
  /** FRA_PROTOCOL */
  readonly protocol: number;
  /** `address/length`; absent = any */
  readonly destination?: string;
  /** `address/length`; absent = any */
  readonly source?: string;
  /** incoming interface; `lo` = what this machine itself sends; absent = any */
  readonly incoming?: string;
  /** FRA_IP_PROTO: 6 TCP, 17 UDP; absent = any */
  readonly ipProtocol?: number;
  /** FRA_DPORT_RANGE, both included; absent = any */
  readonly ports?: { readonly first: number; readonly last: number };
  /** FRA_SUPPRESS_PREFIXLEN: a route found with a prefix of at most this length does not count; absent = every one counts */
  readonly suppress?: number;
  /** what the rule does instead of looking into its table (`table` is 0 then); absent = it looks there */
  readonly action?: 'unreachable';
  /** true when the rule has any selector or action beyond these: never one of ours */
  readonly other: boolean;
}

export interface NeighbourState {
  readonly ifindex: number;
  readonly address: string;
  readonly family: Family;
  readonly state: 'reachable' | 'stale' | 'delay' | 'probe' | 'failed' | 'incomplete' | 'permanent' | 'noarp' | 'none';
  readonly mac: string | null;
}

/** Everything the core looks at, read at one moment. */
export interface KernelState {
  readonly links: readonly LinkState[];
  readonly addresses: readonly AddressState[];
  /** default routes of main, every route of the tables asked for, and main's connected (on-link) networks; in the kernel's dump order */
  readonly routes: readonly RouteState[];
  readonly rules: readonly RuleState[];
  readonly neighbours: readonly NeighbourState[];
  /** value trimmed; null = the key does not exist (interface gone, IPv6 off) */
  readonly sysctls: Readonly<Record<string, string | null>>;
  /** whether our nftables table stands, by its own content's fingerprint; null = nft was not asked, or has not answered yet */
  readonly nft: NftState | null;
}

export interface NftState {
  /** `absent`, or the comment we wrote into the table: a fingerprint of what it does */
  readonly fingerprint: string | 'absent';
}

/** What a snapshot must hold beyond links, addresses and main's defaults. */
export interface SnapshotRequest {
  readonly tables: readonly number[];
  readonly sysctls: readonly string[];
  readonly nft: boolean;
}

/** One change. Applied in the order given; each answers for itself. */
export type KernelOp =
  | { readonly op: 'route-replace'; readonly route: RouteState } // NLM_F_CREATE | NLM_F_REPLACE
  | { readonly op: 'route-add'; readonly route: RouteState } // NLM_F_CREATE | NLM_F_EXCL for IPv4; IPv6 alike
  | { readonly op: 'route-append'; readonly route: RouteState } // NLM_F_CREATE | NLM_F_APPEND
  | { readonly op: 'route-delete'; readonly route: RouteState }
  | { readonly op: 'rule-add'; readonly rule: RuleState }
  | { readonly op: 'rule-delete'; readonly rule: RuleState }
  | { readonly op: 'sysctl-set'; readonly key: string; readonly value: string }
  | { readonly op: 'neighbour-delete'; readonly family: Family; readonly ifindex: number; readonly address: string }
  /** our nftables table as a whole: replaced in one transaction, or removed where `rules` is null */
  | { readonly op: 'nft-table'; readonly fingerprint: string; readonly rules: NftRules | null };

/** What our nftables table does. Grows with the issues; the adapter turns it into nft's JSON. */
export interface NftRules {
  /** interfaces on which ND redirects that we would send are dropped (one-armed IPv6) */
  readonly dropNdRedirectsOn: readonly string[];
  /** the memory of which connection goes by which way; absent = nothing is remembered */
  readonly flows?: FlowRules;
  /** ways out on which others appear under our address; absent = none */
  readonly masquerade?: readonly WayOut[];
  /** 1:1 prefix translation (stateful, in conntrack: not RFC 6296); absent = none */
  readonly prefixes?: readonly PrefixTranslation[];
}

/** How packets of one uplink in one family are told from all others. */
export interface WayOut {
  readonly family: Family;
  readonly interface: string;
  /** its next hop, where several uplinks share the interface; null = the interface tells */
  readonly gateway: string | null;
  /** the next hop's MAC where it is known and needed: what comes in by this uplink bears it as its source */
  readonly mac: string | null;
}

export interface FlowRules {
  /** the bits of the mark that are ours; never any other is written */
  readonly mask: number;
  /** way and the mark of its connections, probe bit clear */
  readonly ways: readonly (WayOut & { readonly mark: number })[];
  /** replies leave by the uplink their connection came in by */
  readonly inbound: boolean;
  /**
   * TCP whose addresses were translated for one way and that would leave by another is reset: it could only hang there, and the
   * kernel would forget it before those of a lost uplink are ended
   */
  readonly resetAstray: boolean;
  /** mark within the mask of packets of our own making that conntrack shall not see (the bare ACK of a reset) */
  readonly untrackedMark: number;
}

export interface PrefixTranslation {
  readonly way: WayOut;
  /** the LAN's own, `address/length` */
  readonly inside: string;
  /** the provider's, of the same length */
  readonly outside: string;
}

export interface OpResult {
  readonly op: KernelOp;
  readonly ok: boolean;
  /** e.g. `EEXIST`; null when ok */
  readonly errno: string | null;
  /** the kernel's own text where it gave one (NETLINK_EXT_ACK) */
  readonly message: string | null;
}

/** Something changed: read again. `lost` = notifications were dropped (ENOBUFS), nothing may be assumed. */
export interface KernelChange {
  readonly what: ReadonlySet<'link' | 'address' | 'route' | 'rule' | 'neighbour'>;
  readonly lost: boolean;
}

export interface Kernel {
  /** Reads everything anew. Rejects with a KernelError (src/kernel/error.ts) when the kernel refuses. */
  snapshot(request: SnapshotRequest): Promise<KernelState>;
  /**
   * Carries the operations out in order. Routes, rules and sysctls are done synchronously, before the first await:
   * when the promise is returned they are in force. nft comes last. Never rejects: each result says what happened.
   */
  apply(ops: readonly KernelOp[]): Promise<readonly OpResult[]>;
  /** Calls back soon after any relevant change, by event, coalesced; the changes made through `apply` may come back too. */
  watch(onChange: (change: KernelChange) => void): void;
  close(): Promise<void>;
}
