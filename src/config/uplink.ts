/**
 * One uplink's configuration: its own word, else that of defaults, else the built-in one; and what can be wrong between
 * its keys. Knows neither YAML's nor zod's ways.
 */
import type {
  DegradedConfig,
  GatewayConfig,
  Hysteresis,
  LearnedBounds,
  ProbeConfig,
  TargetConfig,
  UplinkConfig,
} from '../core/config.js';
import type { Family } from '../core/model.js';
import { isLinkLocal } from '../core/net.js';
import { BUILT_IN, CLEAR_SHARE, METERED_BACKUP_COST } from './defaults.js';
import { hostText } from './host.js';
import { complaint, type Path, type Report } from './problem.js';
import type { GatewayShape, SharedShape, UplinkShape } from './schema.js';
import { mergeMetered } from './traffic.js';
import { formatDuration, formatPercent } from './units.js';

/** The key under which the file names this uplink's gateway of a family. */
export function gatewayKey(uplink: UplinkConfig, family: Family): 'gateway' | 'gateway6' {
  return family === 6 && (uplink.gateways.length > 1 || uplink.gateways[0]?.host.kind !== 'address') ? 'gateway6' : 'gateway';
}

/** A nested mapping of an uplink or of defaults. */
type Section = 'probe' | 'hold-down' | 'degraded';

export class UplinkMerger {
  constructor(
    readonly name: string,
    readonly own: UplinkShape,
    readonly defaults: SharedShape,
    readonly report: Report,
  ) {}

  merge(): UplinkConfig {
    const { own, defaults } = this;
    const zones = this.#zones();
    const gateways = this.#gateways();
    const targets = this.#targets(zones, gateways);
    const patience = this.#learned('fail-after', BUILT_IN.uplink.patienceBounds);
    const hold = this.#learned('recover-after', BUILT_IN.uplink.holdBounds);
    const quorum = own.quorum ?? defaults.quorum ?? BUILT_IN.uplink.quorum;
    const metered = mergeMetered(own.metered, ['uplinks', this.name, 'metered'], this.report);
    if (metered !== null && own.weight !== undefined) {
      const wrong = complaint('a metered uplink never shares', null, 'Leave weight out, or metered.');
      this.report(['uplinks', this.name, 'weight'], null, wrong);
    }
    const possible = Math.max(1, targets.length);
    if (quorum > possible) {
      const have =
        targets.length === 0
          ? 'it has no targets, only its gateway is watched'
          : `it has ${targets.length === 1 ? 'one target' : `${targets.length} targets`} only`;
      this.report(
        this.#at('quorum'),
        String(quorum),
        complaint(`uplink ${this.name} could never be up: ${have}`, `from 1 to ${possible} is allowed`),
      );
    }
    return {
      name: this.name,
      gateways,
      interface: own.interface ?? zones ?? null,
      targets,
      probe: this.#probe(),
      failAfterMs: patience.givenMs,
      patienceBounds: patience.bounds,
      recoverAfterMs: hold.givenMs,
      holdBounds: hold.bounds,
      holdDown: this.#holdDown(hold.givenMs ?? 0),
      backupCost:
        own['backup-cost'] ?? defaults['backup-cost'] ?? (metered === null ? BUILT_IN.uplink.backupCost : METERED_BACKUP_COST),
      degraded: this.#degraded(),
      quorum,
      tier: own.tier ?? BUILT_IN.uplink.tier,
      weight: own.weight ?? BUILT_IN.uplink.weight,
      metered,
      prefix: own.prefix ?? BUILT_IN.uplink.prefix,
    };
  }

  /** Where a value stands that is in force here: in the uplink or under defaults. */
  #at(key: keyof SharedShape, inner?: string): Path {
    const mine = this.own[key];
    const isMine = inner === undefined ? mine !== undefined : has(mine, inner);
    const base: Path = isMine ? ['uplinks', this.name, key] : ['defaults', key];
    return inner === undefined ? base : [...base, inner];
  }

  #given(section: Section, key: string): boolean {
    return has(this.own[section], key) || has(this.defaults[section], key);
  }

  /** The interface that the gateways' zones name. */
  #zones(): string | undefined {
    const { own } = this;
    let zone = own.interface;
    for (const key of ['gateway', 'gateway6'] as const) {
      const host = own[key];
      if (host === undefined) continue;
      const path = ['uplinks', this.name, key];
      if (host.zone !== null && zone !== undefined && host.zone !== zone) {
        this.report(
          path,
          `%${host.zone}`,
          complaint(`the zone contradicts the interface ${zone}`, null, 'Leave one of them out.'),
        );
      }
      zone ??= host.zone ?? undefined;
      if (zone === undefined && host.ref.kind === 'address' && isLinkLocal(host.ref.address)) {
        const { address } = host.ref;
        this.report(
          path,
          address,
          complaint(
            'a link-local address says nothing without its interface',
            null,
            `Add interface: eth0, or write ${address}%eth0, with the right interface.`,
          ),
        );
      }
    }
    for (const key of ['gateway', 'gateway6'] as const) {
      if (own[key]?.ref.kind !== 'auto' || zone !== undefined) continue;
      const wrong = complaint(
        'it must be said on which interface the next hop is looked for',
        null,
        'Add interface: with its name, such as wan1.',
      );
      this.report(['uplinks', this.name, key], 'auto', wrong);
    }
    return zone;
  }

  /** A name or `auto` in `gateway` means IPv4, in `gateway6` IPv6. */
  #gateways(): GatewayConfig[] {
    const { gateway, gateway6 } = this.own;
    const path = ['uplinks', this.name, 'gateway6'];
    const gateways: GatewayConfig[] = [];
    if (gateway !== undefined) gateways.push({ family: isFamily(gateway, 6) ? 6 : 4, host: gateway.ref });
    if (gateway6 === undefined) {
      if (gateway === undefined) {
        const wrong = complaint('gateway is missing', null, 'It names the next router, such as gateway: 192.168.1.253.');
        this.report(['uplinks', this.name], null, wrong);
      }
      return gateways;
    }
    if (isFamily(gateway6, 4)) {
      this.report(
        path,
        hostText(gateway6.ref),
        complaint('an IPv6 address or a name is wanted', null, 'The IPv4 gateway belongs in gateway.'),
      );
    } else if (gateways[0]?.family === 6) {
      const hint = 'Put the IPv4 one in gateway, or leave gateway6 out.';
      this.report(path, hostText(gateway6.ref), complaint('gateway is IPv6 already: one gateway for each family', null, hint));
    } else {
      gateways.push({ family: 6, host: gateway6.ref });
    }
    return gateways;
  }

  #targets(zone: string | undefined, gateways: readonly GatewayConfig[]): TargetConfig[] {
    const shapes = this.own.targets ?? this.defaults.targets ?? [];
    const base = this.#at('targets');
    const labels = new Map<string, number>();
    const only = gateways.length === 1 ? (gateways[0]?.family ?? null) : null;
    return shapes.map(({ config, zone: targetZone }, index) => {
      const path = [...base, index];
      const first = labels.get(config.label.toLowerCase());
      if (first !== undefined)
        this.report(
          path,
          config.label,
          complaint(`the same target stands in the list already, as number ${first + 1}`, null, 'It would count twice.'),
        );
      else labels.set(config.label.toLowerCase(), index);
      if (targetZone !== null && targetZone !== zone) {
        this.report(
          path,
          `%${targetZone}`,
          complaint(`the zone is not the interface of uplink ${this.name}`, null, `Add interface: ${targetZone} to it.`),
        );
      }
      if (only !== null && config.host.kind === 'address' && config.host.family !== only) {
        this.report(
          path,
          config.host.address,
          complaint(`uplink ${this.name} has an IPv${only} gateway only: it cannot reach an IPv${config.host.family} target`),
        );
      }
      return config;
    });
  }

  #probe(): ProbeConfig {
    const [own, defaults, builtIn] = [this.own.probe ?? {}, this.defaults.probe ?? {}, BUILT_IN.uplink.probe];
    const deadlineFloorMs = own['deadline-floor'] ?? defaults['deadline-floor'] ?? builtIn.deadlineFloorMs;
    let timeoutMs = own.timeout ?? defaults.timeout ?? builtIn.timeoutMs;
    if (deadlineFloorMs > timeoutMs) {
      // A built-in bound never makes a file wrong that does not name it.
      if (!this.#given('probe', 'timeout')) timeoutMs = deadlineFloorMs;
      else if (this.#given('probe', 'deadline-floor')) {
        this.report(
          this.#at('probe', 'deadline-floor'),
          formatDuration(deadlineFloorMs),
          complaint(`more than the timeout of ${formatDuration(timeoutMs)}: no answer is awaited for longer than that`),
        );
      }
    }
    return {
      intervalMs: own.interval ?? defaults.interval ?? builtIn.intervalMs,
      burstCount: own.burst ?? defaults.burst ?? builtIn.burstCount,
      burstPaceMs: own['burst-pace'] ?? defaults['burst-pace'] ?? builtIn.burstPaceMs,
      timeoutMs,
      deadlineFloorMs: Math.min(deadlineFloorMs, timeoutMs),
      windowSamples: own.window ?? defaults.window ?? builtIn.windowSamples,
    };
  }

  #learned(
    key: 'fail-after' | 'recover-after',
    builtIn: LearnedBounds,
  ): { readonly givenMs: number | null; readonly bounds: LearnedBounds } {
    const said = this.own[key] ?? this.defaults[key] ?? 'auto';
    if (typeof said === 'number') return { givenMs: said, bounds: builtIn };
    const { min = builtIn.minMs, max = builtIn.maxMs } = said === 'auto' ? {} : said;
    if (min > max) {
      this.report(
        this.#at(key, 'min'),
        formatDuration(min),
        complaint(`more than max, ${formatDuration(max)}`, `at most ${formatDuration(max)} is allowed`),
      );
    }
    return { givenMs: null, bounds: { minMs: min, maxMs: Math.max(min, max) } };
  }

  #holdDown(recoverAfterMs: number): UplinkConfig['holdDown'] {
    const [own, defaults, builtIn] = [this.own['hold-down'] ?? {}, this.defaults['hold-down'] ?? {}, BUILT_IN.uplink.holdDown];
    const maxMs = own.max ?? defaults.max ?? Math.max(builtIn.maxMs, recoverAfterMs);
    if (maxMs < recoverAfterMs) {
      this.report(
        this.#at('hold-down', 'max'),
        formatDuration(maxMs),
        complaint(
          `less than recover-after, ${formatDuration(recoverAfterMs)}`,
          `at least ${formatDuration(recoverAfterMs)} is allowed`,
        ),
      );
    }
    return {
      factor: own.factor ?? defaults.factor ?? builtIn.factor,
      maxMs,
      decayMs: own.decay ?? defaults.decay ?? builtIn.decayMs,
    };
  }

  #degraded(): DegradedConfig {
    const [own, defaults] = [spread(this.own.degraded), spread(this.defaults.degraded)];
    const builtIn = BUILT_IN.uplink.degraded;
    const bounds = (
      key: 'loss' | 'latency' | 'jitter',
      standard: number | null,
      share: number,
      show: (value: number) => string,
    ): Hysteresis | null => {
      const clearKey = `${key}-clear` as const;
      const high = own[key] ?? defaults[key] ?? standard ?? 'off';
      if (high === 'off') return null;
      const clear = own[clearKey] ?? defaults[clearKey] ?? high * share;
      const low = clear === 'off' ? high : clear;
      if (low > high) {
        this.report(
          this.#at('degraded', clearKey),
          show(low),
          complaint(`more than ${key}, ${show(high)}: it would trip and clear at once`, `at most ${show(high)} is allowed`),
        );
      }
      return { high, low };
    };
    return {
      loss: bounds('loss', builtIn.loss, CLEAR_SHARE.loss, formatPercent),
      rttMs: bounds('latency', builtIn.rttMs, CLEAR_SHARE.rttMs, formatDuration),
      jitterMs: bounds('jitter', builtIn.jitterMs, CLEAR_SHARE.jitterMs, formatDuration),
      policy: own.policy ?? defaults.policy ?? builtIn.policy,
    };
  }
}

type DegradedShape = Exclude<NonNullable<SharedShape['degraded']>, 'off'>;

/** The word off stands for each measure being off. */
function spread(shape: SharedShape['degraded']): DegradedShape {
  if (shape === 'off') return { loss: 'off', latency: 'off', jitter: 'off' };
  return shape ?? {};
}

function has(value: unknown, key: string): boolean {
  return typeof value === 'object' && value !== null && (value as Record<string, unknown>)[key] !== undefined;
}

function isFamily(host: GatewayShape, family: 4 | 6): boolean {
  return host.ref.kind === 'address' && host.ref.family === family;
}
