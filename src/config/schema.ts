/**
 * The shape of the file: every key, how its value is read, and what editors are told of it. Values come in as text (the
 * YAML reader leaves them so) and go out typed, in the units of src/core/config.ts. What spans several keys is merge.ts's.
 * Longer than most: a key after the other; sections of their own have files of their own.
 */
import * as z from 'zod/mini';
import { type GatewayRef, MAX_UPLINKS, RULE_PRIORITIES } from '../core/config.js';
import { BUILT_IN } from './defaults.js';
import { follow, hooks, mailRelay, resolver } from './follow-schema.js';
import { history } from './history-schema.js';
import { interfaceComplaint, readHost } from './host.js';
import { leaf, list, mapping, named, offOr, optional, textOr, type ValueSchema } from './leaf.js';
import { notify } from './notify-schema.js';
import { MAIN_PRIORITY } from './numbers.js';
import { target } from './target.js';
import { connections, drill, lanPrefix, masquerade, metered, routerAdvertisements, uplinkPrefix, via } from './traffic-schema.js';
import {
  type Bounds,
  bad,
  bits32,
  DURATION_PATTERN,
  decimal,
  duration,
  fileMode,
  formatDuration,
  formatPercent,
  good,
  PERCENT_PATTERN,
  percent,
  type Read,
  type Reader,
} from './units.js';
import { count, file, NAME_PATTERN, number, orOff, time, word } from './values.js';

const { uplink } = BUILT_IN;
const show = (ms: number | null): string => (ms === null ? 'off' : formatDuration(ms));

const SHARE: Bounds = { min: 0.001, max: 1, why: 'It is a share of the probes.' };
const lossBound = (description: string, builtIn?: string) =>
  leaf(orOff(percent(SHARE)), {
    anyOf: [{ const: 'off' }, { type: 'string', pattern: PERCENT_PATTERN }],
    description,
    ...(builtIn === undefined ? {} : { default: builtIn }),
  });
const RTT: Bounds = { min: 0.1, max: 60_000, why: 'It is compared with the measured times of answers.' };
const timeBound = (description: string, builtIn?: string) =>
  leaf(orOff(duration(RTT)), {
    anyOf: [{ const: 'off' }, { type: 'string', pattern: DURATION_PATTERN }],
    description,
    ...(builtIn === undefined ? {} : { default: builtIn }),
  });

const probe = mapping(
  optional({
    interval: time(
      'Time between two probes to one target.',
      { min: 20, max: 3_600_000, why: 'Below, the probes themselves are a load; above, a failure shows too late.' },
      uplink.probe.intervalMs,
    ),
    burst: count(
      'Probes per target that confirm a suspicion.',
      { min: 3, max: 20, why: 'Below 3 a random loss looks like a failure.' },
      uplink.probe.burstCount,
    ),
    'burst-pace': time(
      'Time between two probes of such a burst.',
      { min: 1, max: 1000, why: 'A burst is meant to be over soon.' },
      uplink.probe.burstPaceMs,
    ),
    timeout: time(
      'No answer is awaited longer; also the deadline before anything is known of a target.',
      { min: 50, max: 60_000, why: 'Few answers take longer, and nothing is decided meanwhile.' },
      uplink.probe.timeoutMs,
    ),
    'deadline-floor': time(
      'The deadline is at least this much above the usual time of an answer.',
      { min: 5, max: 10_000, why: 'Below, this machine itself may be late; above, a failure shows too late.' },
      uplink.probe.deadlineFloorMs,
    ),
    window: count(
      'Probes per target over which loss, time and jitter are judged.',
      { min: 10, max: 3600, why: 'Fewer say nothing of loss; more are kept in memory for nothing.' },
      uplink.probe.windowSamples,
    ),
  }),
  'How the targets are asked.',
);

const holdDown = mapping(
  optional({
    factor: leaf(decimal({ min: 1, max: 10, why: 'With 1, failures that repeat do not lengthen the wait.' }), {
      type: 'number',
      minimum: 1,
      maximum: 10,
      description: 'Each repeated failure multiplies recover-after by this.',
      default: uplink.holdDown.factor,
    }),
    max: time(
      'The wait grows no longer than this.',
      { min: 0, max: 604_800_000, why: 'An uplink that stays out for longer had better be disabled.' },
      uplink.holdDown.maxMs,
    ),
    decay: time(
      'This much good time takes one step of it back.',
      { min: 1000, max: 604_800_000, why: 'It undoes one failure.' },
      uplink.holdDown.decayMs,
    ),
  }),
  'How repeated failures lengthen the wait before failback.',
);

const degraded = offOr(
  mapping(
    optional({
      loss: lossBound('Share of lost probes from which an uplink is degraded, or off.', formatPercent(uplink.degraded.loss)),
      'loss-clear': lossBound('Share below which it is good again; half of loss where left out.'),
      latency: timeBound(
        'Median time of an answer from which an uplink is degraded, or off. Our own load raises it too.',
        show(uplink.degraded.rttMs),
      ),
      'latency-clear': timeBound('Time below which it is good again; four fifths of latency where left out.'),
      jitter: timeBound(
        'Standard deviation of that time from which an uplink is degraded, or off.',
        show(uplink.degraded.jitterMs),
      ),
      'jitter-clear': timeBound('Below which it is good again; four fifths of jitter where left out.'),
      policy: word(
        'yield: traffic leaves a degraded uplink for a better one; keep: it is only told.',
        uplink.degraded.policy,
        'yield',
        'keep',
      ),
    }),
    'When an uplink that answers is called degraded.',
  ),
  'When an uplink that answers is called degraded; off = never.',
);

/** A duration that is given, or learned: freely, or between bounds. */
export type LearnedShape = 'auto' | number | { readonly min?: number | undefined; readonly max?: number | undefined };

function learned(description: string, bounds: Bounds): ValueSchema<LearnedShape> {
  const given = duration(bounds);
  const read: Reader<'auto' | number> = (text) => {
    if (text === 'auto') return good('auto');
    const result = given(text);
    return result.ok ? result : { ...result, allowed: result.allowed === null ? 'auto' : `${result.allowed}, or auto` };
  };
  const text = leaf(read, { anyOf: [{ const: 'auto' }, { type: 'string', pattern: DURATION_PATTERN }] });
  const between = mapping(
    optional({ min: time('Never less than this.', bounds), max: time('Never more than this.', bounds) }),
    'Learned, within bounds.',
  );
  return textOr<'auto' | number, { min?: number | undefined; max?: number | undefined }>(text, between, {
    description: `${description} From ${formatDuration(bounds.min)} to ${formatDuration(bounds.max)}; auto, or {min: …, max: …}: learned.`,
    default: 'auto',
  });
}

/** What may stand in an uplink and, to serve them all, under defaults. */
const shared = optional({
  targets: list(
    target,
    'What is asked through the uplink to know that it works: addresses or names beyond the gateway. Left out: the gateway itself.',
  ),
  probe,
  'fail-after': learned(
    'How long a silence is borne before failing over, from the first unanswered probe; 0s = as soon as the burst is sure.',
    { min: 0, max: 3_600_000, why: 'A longer silence is an outage.' },
  ),
  'recover-after': learned('How long a recovered uplink must stay good before failback.', {
    min: 0,
    max: 86_400_000,
    why: 'Force or disable an uplink that shall wait for longer.',
  }),
  'backup-cost': leaf(decimal({ min: 0, max: 0.99, why: 'With 1 a second on it would be as bad as a second of outage.' }), {
    type: 'number',
    minimum: 0,
    maximum: 0.99,
    description: 'A second on it while a more preferred uplink works hurts like so many seconds of outage; 0.05 where metered.',
    default: uplink.backupCost,
  }),
  'hold-down': holdDown,
  degraded,
  quorum: count(
    'Number of targets that must answer for the uplink to be up.',
    { min: 1, max: 512, why: 'An uplink without any living target is down.' },
    uplink.quorum,
  ),
});

/** The zone of a link-local address is kept beside until the interface is known. */
export interface GatewayShape {
  readonly ref: GatewayRef;
  readonly zone: string | null;
}

function gateway(text: string): Read<GatewayShape> {
  if (text === 'auto') return good({ ref: { kind: 'auto' }, zone: null });
  if (text.toLowerCase() === 'auto') return bad('an address, a name or the word auto is wanted', null, 'Did you mean auto?');
  return readHost(text);
}

const interfaceName: Reader<string> = (text) => {
  const wrong = interfaceComplaint(text);
  return wrong === null ? good(text) : wrong;
};

const uplinkSchema = mapping(
  {
    gateway: z.optional(
      leaf(gateway, {
        type: 'string',
        description:
          'The next router: IPv4 or IPv6 address, a name (its IPv4 address), or auto: the IPv4 next hop that the system knows.',
      }),
    ),
    gateway6: z.optional(
      leaf(gateway, {
        type: 'string',
        description: 'The next router of the second family, IPv6, where gateway is the IPv4 one; or auto.',
      }),
    ),
    interface: z.optional(
      leaf(interfaceName, {
        type: 'string',
        maxLength: 15,
        description: 'Interface towards the gateway; found from the connected network it is in where left out.',
      }),
    ),
    tier: z.optional(
      number('Uplinks of one tier share new connections. They stand together in the file.', {
        min: 1,
        max: MAX_UPLINKS,
        why: 'There are no more uplinks than that.',
      }),
    ),
    weight: z.optional(
      count('Its share among those of its tier.', { min: 1, max: 256, why: 'The kernel knows no other weights.' }, uplink.weight),
    ),
    metered: z.optional(metered),
    prefix: z.optional(uplinkPrefix),
    ...shared,
  },
  'A way out.',
);

const groupName: Reader<string> = (text) =>
  /^[a-z_][a-z0-9_-]{0,31}\$?$/i.test(text)
    ? good(text)
    : bad('the name of a group of this machine is wanted', 'such as adm or netdev');

const uplinks = named(
  uplinkSchema,
  {
    description: 'The ways out, in order of preference.',
    propertyNames: { pattern: NAME_PATTERN },
    minProperties: 1,
    maxProperties: MAX_UPLINKS,
  },
  'fast: {gateway: 192.168.1.253}',
);

const MASK_FORMS = [
  { type: 'integer', minimum: 1, maximum: 0xffffffff },
  { type: 'string', pattern: '^0x[0-9a-fA-F]{1,8}$' },
];

/** The whole file. */
export const fileSchema = mapping(
  {
    uplinks,
    ...optional({
      defaults: mapping(shared, 'Serves every uplink that does not say otherwise.'),
      'switch-cost': time(
        'One switch hurts like so much outage: behind NAT it breaks every open connection.',
        { min: 100, max: 600_000, why: 'Give fail-after and recover-after where nothing shall be weighed.' },
        BUILT_IN.switchCostMs,
      ),
      log: file('Text file that gets one plain line for each change of state.', '/var/log/backroute/changes.log'),
      'on-stop': word(
        'keep: routes stay as they are when the program stops; restore: those from before come back.',
        BUILT_IN.onStop,
        'keep',
        'restore',
      ),
      socket: mapping(
        optional({
          group: leaf(groupName, { type: 'string', description: 'Group that may use the control socket.' }),
          mode: leaf(fileMode, {
            type: ['string', 'integer'],
            description: 'Permissions of the control socket, octal.',
            default: `0${BUILT_IN.socket.mode.toString(8)}`,
          }),
        }),
        'The control socket.',
      ),
      kernel: mapping(
        optional({
          protocol: count(
            'Number of the route protocol that marks our routes.',
            { min: 5, max: 255, why: "0 to 4 are the kernel's own." },
            BUILT_IN.kernel.protocol,
          ),
          'table-base': count(
            'First of 128 routing tables.',
            { min: 1, max: 4_294_967_295 - 127, why: '128 tables are used from there.' },
            BUILT_IN.kernel.tableBase,
          ),
          'rule-base': count(
            `First of ${RULE_PRIORITIES} priorities of policy rules.`,
            {
              min: 1,
              max: MAIN_PRIORITY - RULE_PRIORITIES,
              why: `${RULE_PRIORITIES} priorities are used from there, and they must stand before the rule of table main, ${MAIN_PRIORITY}.`,
            },
            BUILT_IN.kernel.ruleBase,
          ),
          'mark-mask': leaf(bits32, {
            anyOf: MASK_FORMS,
            description: 'Bits of the firewall mark that are ours: at least 7 in a row.',
            default: BUILT_IN.kernel.markMask,
          }),
        }),
        'The numbers by which our objects in the kernel are known as ours.',
      ),
      sysctls: word(
        'set: kernel settings that the topology needs are set, and put back by cleanup; leave: doctor tells of them.',
        BUILT_IN.sysctls,
        'set',
        'leave',
      ),
      via,
      connections,
      masquerade,
      'lan-prefix': lanPrefix,
      drill,
      'router-advertisements': routerAdvertisements,
      history,
      notify,
      'mail-relay': mailRelay,
      follow,
      resolver,
      hooks,
    }),
  },
  'Backroute: uplinks in order of preference.',
);

export type FileShape = z.output<typeof fileSchema>;
export type UplinkShape = FileShape['uplinks'][string];
export type SharedShape = NonNullable<FileShape['defaults']>;
