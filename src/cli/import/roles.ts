/**
 * What a constant of an old script is for, by its name and by the shape of its value. Names vary from script to script:
 * case, `_` and `-` count for nothing. Pure; knows no shell.
 */
import type { Side } from './old-way.js';

export type Role =
  | { readonly kind: 'targets'; readonly side: Side }
  | { readonly kind: 'gateway'; readonly side: Side }
  | { readonly kind: 'interface'; readonly side: Side }
  | { readonly kind: 'smarthost'; readonly side: Side }
  | { readonly kind: 'file'; readonly side: Side | null; readonly stem: string }
  | { readonly kind: 'log' | 'mail-to' | 'mail-from' | 'reload' }
  /** why there is nothing to carry */
  | { readonly kind: 'none'; readonly why: string };

/** Longer words first: `back` stands within `backup`. */
const FAST = /fast|primary|preferred|main(?!t|d)/;
const BACKUP = /backup|back|secondary|slow|spare|standby/;
const MAIL = /mail|smtp|exim|postfix|mta|relay|smarthost/;

export const secretName = (name: string): boolean => /pass(wo?r?d)?|secret|token|apikey|credential/i.test(name);

const MAX_NAME = 64;

export function roleOf(name: string, value: string): Role {
  if (name.length > MAX_NAME) return none('nothing in the configuration corresponds to it');
  const plain = name.toLowerCase().replace(/[_-]/g, '');
  if (secretName(plain)) {
    return none('a secret does not stand in the configuration: write it alone into a file and name that by password-file:');
  }
  const isPath = value.startsWith('/');
  const up = upstream(plain);
  if (up !== null) return { kind: 'targets', side: up };
  const { side, stem } = sideOf(plain);
  if (/(reload|restart|refresh|hup|init)/.test(stem) && !/interval|time/.test(stem)) return { kind: 'reload' };
  if (/log(file|path)?$/.test(stem) && !/prog|cmd|facility/.test(stem)) return logRole(plain, value);
  if (side !== null && !isPath) {
    if (/(router|gateway|gw|rtr|hop)(addr|address|ip|host)?\d?$/.test(stem) || /^(ip|addr|address|line|link)?$/.test(stem)) {
      return { kind: 'gateway', side };
    }
    if (/(interface|iface|if|dev|device|nic)$/.test(stem)) return { kind: 'interface', side };
    if (MAIL.test(stem) && !/conf|cf$|to$|from$/.test(stem) && !value.includes('@')) return { kind: 'smarthost', side };
  }
  if (isPath && MAIL.test(plain)) return mailFile(value, side, stem);
  if (/^(mail|e?mail|admin|notify|alert|warn(ing)?|report)*(from|sender)$/.test(plain)) return { kind: 'mail-from' };
  if (isRecipient(plain)) return { kind: 'mail-to' };
  return none(whyNot(plain, isPath));
}

function none(why: string): Role {
  return { kind: 'none', why };
}

/** `backupstream` is the upstream of `back`, not the stream of `backup`. */
function upstream(plain: string): Side | null {
  const rest = plain.replace(/upstream/, ' ');
  if (rest === plain) {
    const { side, stem } = sideOf(plain);
    return /^(ping|check|test|probe|watch)?(target|targets|host|hosts|ip|addr|address)$/.test(stem) &&
      (side === null || stem !== 'ip') &&
      !/^(host|hosts|ip|addr|address)$/.test(stem)
      ? (side ?? 'fast')
      : null;
  }
  if (!/^(\s|router|gateway|gw|host|ip|addr(ess)?|fast|back(up)?|primary|secondary|slow|s|\d)*$/.test(rest)) return null;
  return BACKUP.test(rest) ? 'backup' : 'fast';
}

export function sideOf(plain: string): { side: Side | null; stem: string } {
  const backup = BACKUP.exec(plain)?.[0];
  if (backup !== undefined) return { side: 'backup', stem: plain.replace(backup, '') };
  const fast = FAST.exec(plain)?.[0];
  return fast === undefined ? { side: null, stem: plain } : { side: 'fast', stem: plain.replace(fast, '') };
}

function logRole(plain: string, value: string): Role {
  if (value === '/dev/null') return none('this log went nowhere');
  // One log tells of all uplinks.
  if (BACKUP.test(plain)) return none('there is one log for all uplinks');
  return { kind: 'log' };
}

function mailFile(value: string, side: Side | null, stem: string): Role {
  if (/^\/etc\/(rc\.d\/)?init\.d\//.test(value)) return { kind: 'reload' };
  if (/\/s?bin\//.test(value)) return none('Backroute sends mail by itself: see via: and sendmail: of mail');
  if (/\/(spool|run|log|lock)\//.test(value)) return none('nothing in the configuration corresponds to it');
  return { kind: 'file', side, stem };
}

function isRecipient(plain: string): boolean {
  return /^(mailto|mail|e?mail|mailaddr(ess)?|emailaddr(ess)?|emailto|admin|adminmail|adminemail|mailadmin|recipients?|rcpt(to)?|notify|notifyto|notifymail|alert|alertto|alertmail|sendto|warnto|postmaster|operator)$/.test(
    plain,
  );
}

function whyNot(plain: string, isPath: boolean): string {
  if (/count|tries|retr(y|ies)|interval|sleep|timeout|wait|loss|delay|seconds|ttl|packets|threshold/.test(plain)) {
    return 'Backroute asks at its own pace: see probe:, fail-after: and recover-after:';
  }
  if (/^(path|shell|lang|lc.*|ifs|home|term|debug|verbose|ps\d)$/.test(plain)) return 'of the old script alone';
  if (/lock|pid|state|status|flag|tmp|temp|prog(name)?$|me$|version|usage|date|now/.test(plain)) return 'of the old script alone';
  if (/router|gateway|gw$/.test(plain))
    return 'whether this is the fast router or the backup is not said: write it as a gateway: if it is one';
  if (/if(ace)?$|interface|dev$|nic$/.test(plain)) return 'Backroute finds the interface towards each gateway; see interface:';
  if (/bin$|cmd$|command$|^(ping|route|ip|awk|grep|date|logger)$/.test(plain) && isPath) return 'of the old script alone';
  return 'nothing in the configuration corresponds to it';
}
