/**
 * Routes as old scripts, route.conf and interfaces(5) write them. Words in, a route out; pure.
 * Sources: route(8), ip-route(8), interfaces(5), routes(5) of SUSE.
 */
import { isIP } from 'node:net';

export interface RouteLine {
  readonly action: 'add' | 'delete';
  /** `default`, a network with its length, or a host */
  readonly destination: string;
  readonly isHost: boolean;
  readonly gateway: string | null;
}

const HOOKS: ReadonlySet<string> = new Set(['up', 'post-up', 'pre-up', 'down', 'post-down', 'pre-down']);

/** null where the words are no route. */
export function readRoute(words: readonly string[]): RouteLine | null {
  const [first = '', ...rest] = words;
  if (HOOKS.has(first)) return readRoute(rest);
  if (first === 'sudo' || first === '-') return readRoute(rest);
  const program = first.split('/').at(-1);
  if (program === 'route') return byRoute(rest);
  if (program === 'ip') return byIp(rest);
  return byColumns(words);
}

function byRoute(words: readonly string[]): RouteLine | null {
  const args = words.filter((word) => !/^-(4|6|A|v|n|ee?|F|inet6?)$/.test(word) && word !== 'inet' && word !== 'inet6');
  const [verb, ...rest] = args;
  const action = verb === 'add' ? 'add' : verb === 'del' || verb === 'delete' ? 'delete' : null;
  if (action === null) return null;
  const host = rest[0] === '-host';
  const [destination, ...more] = host || rest[0] === '-net' ? rest.slice(1) : rest;
  if (destination === undefined) return null;
  const gateway = after(more, 'gw') ?? after(more, 'gateway');
  return line(action, destination, after(more, 'netmask'), gateway, host);
}

function byIp(words: readonly string[]): RouteLine | null {
  const args = words.filter((word) => !/^-(4|6|o|d)$/.test(word));
  const [object, verb = '', ...rest] = args;
  if (object === undefined || object.length < 1 || !('route'.startsWith(object) && object !== 'ru')) return null;
  const adds = /^(a|add|replace|repl|change|chg|append|prepend)$/.test(verb);
  if (!adds && !/^(d|del|delete)$/.test(verb)) return null;
  const [destination, ...more] = rest[0] === 'unicast' || rest[0] === 'to' ? rest.slice(1) : rest;
  if (destination === undefined) return null;
  return line(adds ? 'add' : 'delete', destination, undefined, after(more, 'via'), false);
}

/** `destination gateway [netmask [interface]]`. */
function byColumns(words: readonly string[]): RouteLine | null {
  const [destination = '', gateway = '', netmask] = words;
  if (isIP(gateway) === 0 || words.length > 6) return null;
  if (destination !== 'default' && isIP(destination.replace(/\/\d{1,3}$/, '')) === 0) return null;
  return line('add', destination, netmask === '-' ? undefined : netmask, gateway, false);
}

function after(words: readonly string[], key: string): string | undefined {
  const index = words.indexOf(key);
  return index < 0 ? undefined : words[index + 1];
}

function line(
  action: RouteLine['action'],
  written: string,
  netmask: string | undefined,
  gateway: string | undefined,
  host: boolean,
): RouteLine {
  const isDefault = written === 'default' || written === '0.0.0.0' || written === '0.0.0.0/0' || written === '::/0';
  const single = written.replace(/\/(32|128)$/, '');
  const isNetwork = single.includes('/') || (netmask !== undefined && isIP(netmask) !== 0 && netmask !== '255.255.255.255');
  const destination = isDefault ? 'default' : single;
  return { action, destination, isHost: !isDefault && (host || !isNetwork), gateway: gateway ?? null };
}
