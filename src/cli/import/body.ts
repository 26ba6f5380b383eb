/**
 * The commands of an old script that Backroute has no need of, each with the reason; and those that let a service read its
 * files anew. Words in, judgement out; nothing is run.
 */
import type { Word } from './shell-reader.js';

/** Why a command is not carried over, as a clause. */
export function whyLeft(words: readonly (string | null)[], written: readonly Word[]): string {
  const program = (words[0] ?? written[0]?.raw ?? '').split('/').at(-1) ?? '';
  const reason = REASONS.find(([names]) => names.has(program))?.[1];
  const hook = 'put it into a hook (hooks:) if it has to follow the switch';
  const unread =
    words[0] === null ? 'which command this is, is known only while it runs' : 'Backroute does not know this command';
  const why = reason ?? `${unread}: ${hook}`;
  const dynamic = written.find((word) => word.value === null && /\$\(|`/.test(word.raw));
  return dynamic === undefined ? why : `${why}; the command inside it was not run`;
}

const set = (names: string): ReadonlySet<string> => new Set(names.split(' '));

const REASONS: readonly (readonly [ReadonlySet<string>, string])[] = [
  [
    set('ping ping6 fping oping arping traceroute hping hping3 wget curl nc netcat telnet host dig nslookup'),
    'Backroute asks by itself',
  ],
  [set('route ip ifconfig'), 'Backroute sets the default route by itself'],
  [set('mail mailx Mail mutt sendmail mailq'), 'Backroute tells people by itself: see notify:'],
  [set('echo printf logger date tee'), 'Backroute writes its own log'],
  [set('sleep usleep'), 'Backroute asks at its own pace: see probe:, fail-after: and recover-after:'],
  [set('[ [[ test expr let (( grep egrep fgrep awk sed cut tr wc head tail sort cmp diff'), 'a decision of the old script'],
  [
    set(
      'exit return trap set shopt umask cd true false : break continue shift wait unset getopts local export readonly declare typeset',
    ),
    'of the old script alone',
  ],
  [set('touch rm cat lockfile flock pidof kill killall ps sync mkdir'), 'it kept the state of the old script'],
  [set('. source'), 'that file is not read: name it before this one if it holds constants'],
  [set('eval exec'), 'it would have to be run, and nothing of the script is run'],
  [
    set('iptables ip6tables nft ipchains tc'),
    'Backroute leaves the firewall alone: put it into a hook (hooks:) if it has to follow the switch',
  ],
  [set('ln'), 'a symlink that is turned: make the file one of its own, and write both forms under copies: of a follower'],
  [set('postconf'), 'the relay of Postfix follows by mail-relay:'],
];

/** The command that lets a service read its files anew; null where the words are none. */
export function reloadCommand(words: readonly string[]): readonly string[] | null {
  const args = words[0] === 'sudo' ? words.slice(1) : words;
  const [first = '', second = '', third = ''] = args;
  const program = first.split('/').at(-1) ?? '';
  const acts = /^(reload|restart|force-reload|reload-or-restart|try-restart|condrestart|try-reload-or-restart)$/;
  if (/^\/etc\/(rc\.d\/)?init\.d\/[\w.-]+$/.test(first) && acts.test(second)) return args;
  if ((program === 'service' || program === 'invoke-rc.d') && acts.test(third)) return args;
  if (program === 'systemctl' && acts.test(second)) return args;
  if (program === 'postfix' && (second === 'reload' || second === 'restart')) return args;
  if (/^rc[a-z]+$/.test(program) && acts.test(second)) return args;
  if (program === 'newaliases' || program === 'update-exim4.conf') return args;
  if ((program === 'killall' || program === 'pkill') && /^-(HUP|SIGHUP|1)$/.test(second)) return args;
  if (program === 'make' && second === '-C') return args;
  return null;
}

/** `cp [-p] A B` and its like: two files; null where the words are none. */
export function copyCommand(words: readonly (string | null)[]): { from: string | null; to: string | null } | null {
  const program = words[0]?.split('/').at(-1);
  if (program !== 'cp' && program !== 'install') return null;
  const args: (string | null)[] = [];
  for (let i = 1; i < words.length; i++) {
    const word = words[i] ?? null;
    if (word !== null && /^-[mogtS]$/.test(word)) i++;
    else if (word === null || !word.startsWith('-')) args.push(word);
  }
  const [from, to] = args;
  if (args.length !== 2 || from === undefined || to === undefined) return null;
  return { from, to: to?.endsWith('/') && from !== null ? `${to}${from.split('/').at(-1)}` : to };
}
