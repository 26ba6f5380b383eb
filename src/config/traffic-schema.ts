/**
 * The shape of what is said of the traffic: which goes where (via), what becomes of open connections, the drill, and what an
 * uplink may cost. What spans several keys is traffic.ts's.
 */
import type * as z from 'zod/mini';
import { BUILT_IN, DRILL, METERED, VIA_FALLBACK } from './defaults.js';
import { leaf, list, mapping, named, offOr, optional, textOr } from './leaf.js';
import { network, PORT_PATTERN, ports, prefix } from './network.js';
import {
  type Bounds,
  bad,
  CLOCK_PATTERN,
  clock,
  DAYS_PATTERN,
  formatClock,
  good,
  integer,
  type Reader,
  trueFalse,
  wholeDays,
} from './units.js';
import { uplinkName } from './uplink-names.js';
import { bytes, count, NAME_PATTERN, time, word } from './values.js';

const { connections: builtIn } = BUILT_IN;

// ---- an uplink's own -------------------------------------------------------------------------------------------------

const SIZES: Bounds = { min: 1e6, max: 1e15, why: 'It is for a whole month.' };

const meteredKeys = mapping(
  optional({
    'probe-budget': bytes(
      'What its probes may cost in a month; they become rarer to keep within it.',
      SIZES,
      METERED.probeBudgetBytes,
    ),
    cap: bytes("What everything may cost in a month, by the interface's counters; left out: no limit.", SIZES),
    'starts-on': count(
      'Day of the month on which the count begins anew.',
      { min: 1, max: 28, why: 'Every month has these days.' },
      METERED.startsOnDay,
    ),
    'at-cap': word(
      'What is done when the cap is reached: warn, or disable until the month is over.',
      METERED.atCap,
      'warn',
      'disable',
    ),
  }),
  'An uplink whose bytes cost money.',
);
const isMetered = leaf(trueFalse, { type: 'boolean' });

export const metered = textOr(isMetered, meteredKeys, {
  description: 'Its bytes cost money: it never shares, and its probes keep within a budget. true, or what it may cost.',
});

const prefixOrAuto: Reader<string> = (text) => {
  if (text === 'auto') return good(text);
  const read = prefix(text);
  return read.ok ? good(`${read.value.address}/${read.value.length}`) : read;
};

export const uplinkPrefix = leaf(prefixOrAuto, {
  type: 'string',
  description: "The provider's IPv6 prefix, to which the LAN's is translated on this uplink; auto: as it is delegated.",
});

// ---- the whole file's ------------------------------------------------------------------------------------------------

export const lanPrefix = leaf(
  (text) => {
    if (text === 'auto')
      return bad(
        'the LAN has a prefix of its own, that stays',
        'such as fd00:1::/64',
        'The word auto is for prefix: of an uplink.',
      );
    const read = prefix(text);
    return read.ok ? good(`${read.value.address}/${read.value.length}`) : read;
  },
  { type: 'string', description: "The LAN's own IPv6 prefix, translated 1:1 to that of each uplink." },
);

export const masquerade = leaf(trueFalse, {
  type: 'boolean',
  description: 'This machine hides the LAN behind its own address on every uplink.',
  default: BUILT_IN.masquerade,
});

const viaEntry = mapping(
  {
    ...optional({
      from: leaf(network, { type: 'string', description: 'Source network or address; left out: any.' }),
      to: leaf(network, { type: 'string', description: 'Destination network or address; left out: any.' }),
      port: leaf(ports, {
        anyOf: [
          { type: 'integer', minimum: 1, maximum: 65_535 },
          { type: 'string', pattern: PORT_PATTERN },
        ],
        description: 'Destination port or range, such as 443, tcp/25, udp/5000-5100; a number alone is both protocols.',
      }),
      fallback: word(
        'While its uplink does not work: balance = it goes like everything else, block = it goes nowhere.',
        VIA_FALLBACK,
        'balance',
        'block',
      ),
    }),
    uplink: leaf(uplinkName, { type: 'string', description: 'By which uplink it goes.' }),
  },
  'Chosen traffic.',
);

export const via = named(
  viaEntry,
  {
    description: 'Chosen traffic by chosen uplinks; the first entry that fits counts.',
    propertyNames: { pattern: NAME_PATTERN },
  },
  'voip: {port: udp/5060, uplink: fast}',
);

const udpPort = leaf(integer({ min: 1, max: 65_535, why: 'These are the ports there are.' }), {
  type: 'integer',
  minimum: 1,
  maximum: 65_535,
});

export const connections = offOr(
  mapping(
    optional({
      failover: word(
        'Open connections of a lost uplink: end = ended at once, so that they begin anew; keep = left alone.',
        builtIn.failover,
        'end',
        'keep',
      ),
      failback: word(
        'When the preferred uplink is back: drain = open connections finish where they are, until the deadline; move = they are ended at once; stay = no deadline.',
        builtIn.failback,
        'drain',
        'move',
        'stay',
      ),
      drain: time(
        'The deadline of failback: drain.',
        { min: 1000, max: 604_800_000, why: 'Below, write failback: move; above, failback: stay.' },
        builtIn.drainMs,
      ),
      'move-udp': list(
        udpPort,
        'Destination ports of UDP flows that never end by themselves: they move at once even when others drain.',
        builtIn.moveUdpPorts,
      ),
      inbound: word(
        'Replies leave by the same uplink that the connection came in by, or by the active one.',
        builtIn.inbound,
        'same',
        'active',
      ),
    }),
    'What becomes of open connections.',
  ),
  'What becomes of open connections; off = none is remembered, none is ended.',
);

export const drill = mapping(
  optional({
    every: leaf(wholeDays({ min: 1, max: 365, why: 'A backup that is never tried is none.' }), {
      type: 'string',
      pattern: DAYS_PATTERN,
      description: 'Days from one drill to the next. From 1d to 365d.',
      default: `${DRILL.everyDays}d`,
    }),
    at: leaf(clock, {
      type: 'string',
      pattern: CLOCK_PATTERN,
      description: 'Time of day, local time.',
      default: formatClock(DRILL.atMinute),
    }),
    uplinks: list(
      leaf(uplinkName, { type: 'string' }),
      'Which are tried, one after the other; left out: every one that is not in use.',
    ),
    traffic: word('some: one of 16 new connections goes by it; all: all new traffic.', DRILL.traffic, 'some', 'all'),
    for: time('How long.', { min: 10_000, max: 3_600_000, why: 'Shorter proves nothing; longer is no drill.' }, DRILL.forMs),
  }),
  'The backup is tried before it is needed.',
);

export const routerAdvertisements = word(
  'watch: router advertisements of others on the LAN are noticed and told; ignore: they are not.',
  BUILT_IN.routerAdvertisements,
  'watch',
  'ignore',
);

export type MeteredShape = z.output<typeof metered>;
export type ViaShape = z.output<typeof viaEntry>;
export type ConnectionsShape = z.output<typeof connections>;
export type DrillShape = z.output<typeof drill>;
