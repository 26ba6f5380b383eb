/**
 * What can be wrong between one uplink and another: gateways, tiers, prefixes, counters. Pure, over merged uplinks.
 */
import { MAX_UPLINKS, type UplinkConfig } from '../core/config.js';
import { hostText } from './host.js';
import { isUniqueLocal, networksOverlap, splitNetwork } from './network.js';
import { type Complaint, complaint, type Report } from './problem.js';
import { gatewayKey } from './uplink.js';

export function checkUplinks(uplinks: readonly UplinkConfig[], lanPrefix: string | null, report: Report): void {
  if (uplinks.length > MAX_UPLINKS) {
    report(['uplinks'], `${uplinks.length} uplinks`, complaint(`at most ${MAX_UPLINKS} uplinks are possible`));
  }
  for (const [index, uplink] of uplinks.entries()) {
    const before = uplinks.slice(0, index);
    checkGateways(uplink, before, report);
    checkTier(uplink, before, report);
    checkSharing(uplink, uplinks, report);
    checkPrefix(uplink, before, lanPrefix, report);
    checkCounters(uplink, uplinks, report);
  }
  checkLanPrefix(uplinks, lanPrefix, report);
}

// ---- gateways --------------------------------------------------------------------------------------------------------

function checkGateways(uplink: UplinkConfig, before: readonly UplinkConfig[], report: Report): void {
  for (const { family, host } of uplink.gateways) {
    const text = hostText(host).toLowerCase();
    for (const other of before) {
      const same = other.gateways.some((one) => one.family === family && hostText(one.host).toLowerCase() === text);
      const wrong = same ? sameWayOut(uplink, other, host.kind === 'auto') : null;
      if (wrong === null) continue;
      report(['uplinks', uplink.name, gatewayKey(uplink, family)], hostText(host), wrong);
      break;
    }
  }
}

/** The same gateway on two interfaces is two gateways: fe80::1 and 192.168.1.1 stand on many links. */
function sameWayOut(uplink: UplinkConfig, other: UplinkConfig, auto: boolean): Complaint | null {
  if (uplink.interface !== other.interface && uplink.interface !== null && other.interface !== null) return null;
  if (auto) {
    // That its interface is missing has been told.
    if (uplink.interface === null || other.interface === null) return null;
    const hint = 'One interface has one next hop of its own in each family: write the gateway of one of them.';
    return complaint(`uplink ${other.name} takes the next hop of ${uplink.interface} as well`, null, hint);
  }
  const nameless = uplink.interface === null ? uplink : other;
  if (uplink.interface !== other.interface) {
    const hint = `Add interface: to uplink ${nameless.name}.`;
    return complaint(`uplink ${other.name} has the same gateway, and nothing tells their interfaces apart`, null, hint);
  }
  const on = uplink.interface === null ? '' : ` on ${uplink.interface}`;
  const hint = 'Two uplinks need two ways out: another gateway or another interface.';
  return complaint(`uplink ${other.name} has the same gateway${on}`, null, hint);
}

// ---- sharing ---------------------------------------------------------------------------------------------------------

function checkTier(uplink: UplinkConfig, before: readonly UplinkConfig[], report: Report): void {
  const { tier } = uplink;
  if (tier === null) return;
  const path = ['uplinks', uplink.name, 'tier'];
  const mate = before.findLast((other) => other.tier === tier);
  if (mate !== undefined && before.at(-1) !== mate) {
    const between = before.slice(before.indexOf(mate) + 1).map((other) => other.name);
    const wrong = complaint(
      `${between.join(', ')} ${between.length === 1 ? 'stands' : 'stand'} between it and ${mate.name} of the same tier`,
      null,
      `The order of the file is the preference: put it right behind ${mate.name}.`,
    );
    report(path, String(tier), wrong);
    return;
  }
  const higher = before.find((other) => other.tier !== null && other.tier > tier);
  if (higher === undefined) return;
  const wrong = complaint(
    `it stands behind ${higher.name} of tier ${higher.tier}: tiers must not fall down the file`,
    null,
    'The order of the file is the preference: put the lower tier first, or number them in this order.',
  );
  report(path, String(tier), wrong);
}

export function sharesWith(uplink: UplinkConfig, uplinks: readonly UplinkConfig[]): UplinkConfig[] {
  return uplink.tier === null ? [] : uplinks.filter((other) => other !== uplink && other.tier === uplink.tier);
}

function checkSharing(uplink: UplinkConfig, uplinks: readonly UplinkConfig[], report: Report): void {
  const mates = sharesWith(uplink, uplinks).map((other) => other.name);
  if (uplink.metered !== null && mates.length > 0) {
    const wrong = complaint(
      `a metered uplink never shares, and ${mates.join(', ')} ${mates.length === 1 ? 'is' : 'are'} of the same tier`,
      null,
      'Leave its tier out, or metered.',
    );
    report(['uplinks', uplink.name, 'tier'], null, wrong);
  } else if (uplink.metered === null && uplink.weight !== 1 && mates.length === 0) {
    const hint = 'Uplinks of one tier share: give them the same tier.';
    report(['uplinks', uplink.name, 'weight'], null, complaint('it shares with nobody', null, hint), 'warning');
  }
}

/** An uplink with a cap must have its interface to itself, or its counters say nothing of it. @param who also is there, as a sentence */
export function sharedCounters(who: string): Complaint {
  return complaint(
    `${who}: its counters cannot tell whose bytes they are`,
    null,
    'Leave cap out, or give the uplink an interface of its own.',
  );
}

function checkCounters(uplink: UplinkConfig, uplinks: readonly UplinkConfig[], report: Report): void {
  const device = uplink.interface;
  if (uplink.metered === null || uplink.metered.capBytes === null || device === null) return;
  const other = uplinks.find((one) => one !== uplink && one.interface === device);
  if (other !== undefined)
    report(['uplinks', uplink.name, 'metered', 'cap'], null, sharedCounters(`uplink ${other.name} uses ${device} too`));
}

// ---- prefixes --------------------------------------------------------------------------------------------------------

function hasIPv6(uplink: UplinkConfig): boolean {
  return uplink.gateways.some(({ family }) => family === 6);
}

function checkPrefix(uplink: UplinkConfig, before: readonly UplinkConfig[], lanPrefix: string | null, report: Report): void {
  const { prefix } = uplink;
  if (prefix === null) return;
  const tell = (wrong: Complaint, severity?: 'warning'): void =>
    report(['uplinks', uplink.name, 'prefix'], prefix, wrong, severity);
  if (!hasIPv6(uplink) && uplink.gateways.length > 0) {
    tell(complaint(`uplink ${uplink.name} has no IPv6 gateway`, null, 'Add gateway6: auto, or the address of the next router.'));
  }
  if (lanPrefix === null) {
    const hint = 'Add lan-prefix: with the prefix of the LAN at the top of the file.';
    tell(complaint('there is no lan-prefix: nothing is translated to it', null, hint), 'warning');
  }
  if (prefix === 'auto') return;
  const outside = splitNetwork(prefix);
  const other = before.find(
    (one) => one.prefix !== null && one.prefix !== 'auto' && networksOverlap(splitNetwork(one.prefix), outside),
  );
  if (other !== undefined) {
    const hint = 'What comes back to it could be of either: each provider has its own.';
    tell(
      complaint(
        `uplink ${other.name} has ${other.prefix === prefix ? 'the same prefix' : `${other.prefix}, which overlaps`}`,
        null,
        hint,
      ),
    );
  }
  if (lanPrefix === null) return;
  const inside = splitNetwork(lanPrefix);
  if (networksOverlap(inside, outside)) {
    const hint = 'Where the LAN has the prefix of this provider itself, leave it out.';
    tell(complaint(`it overlaps the lan-prefix ${lanPrefix}`, null, hint));
  } else if (inside.length !== outside.length) {
    const wrong = complaint(
      `its length is ${outside.length}, that of the lan-prefix ${inside.length}: they are translated 1:1`,
      `a prefix of length ${inside.length} is wanted`,
      outside.length < inside.length
        ? `Of a larger prefix choose one part, such as ${outside.address}/${inside.length}.`
        : `Make the lan-prefix smaller, such as ${inside.address}/${outside.length}.`,
    );
    tell(wrong);
  }
}

function checkLanPrefix(uplinks: readonly UplinkConfig[], lanPrefix: string | null, report: Report): void {
  if (lanPrefix === null) return;
  const translated = uplinks.filter((uplink) => uplink.prefix !== null);
  if (translated.length === 0) {
    const hint = 'Add prefix: auto, or the prefix of the provider, to the uplinks.';
    report(['lan-prefix'], null, complaint('no uplink has a prefix to translate it to', null, hint), 'warning');
  } else if (isUniqueLocal(splitNetwork(lanPrefix).address)) {
    const bare = uplinks.filter((uplink) => uplink.prefix === null && hasIPv6(uplink)).map((uplink) => uplink.name);
    if (bare.length === 0) return;
    const wrong = complaint(
      `it is translated on no prefix of ${bare.join(', ')}: the LAN has no IPv6 while that carries the traffic`,
      null,
      'Add prefix: auto, or the prefix of the provider.',
    );
    report(['lan-prefix'], null, wrong, 'warning');
  }
}
