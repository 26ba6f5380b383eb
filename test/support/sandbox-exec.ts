/**
 * A program that takes seccomp limits upon itself, as systemd lays them on a service last of all, and then becomes another
 * program. Argument: JSON of {@link SandboxExec}. man: seccomp(2), seccomp_rule_add(3), execve(2), systemd.exec(5)
 */
import { constants } from 'node:os';
import koffi from 'koffi';

export interface SandboxExec {
  /** names of the system calls that are allowed */
  readonly calls: readonly string[];
  /** names of the address families that are allowed: AF_INET … */
  readonly families: readonly string[];
  readonly restrictNamespaces: boolean;
  readonly lockPersonality: boolean;
  /** absolute path and arguments */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

const ALLOW = 0x7fff0000;
const refuse = (errno: number): number => 0x00050000 | errno;
const EAFNOSUPPORT = 97;
const FAMILIES: Readonly<Record<string, number>> = { AF_UNIX: 1, AF_INET: 2, AF_INET6: 10, AF_NETLINK: 16 };
const HIGHEST_FAMILY = 63;
/** CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET: linux/sched.h */
const NAMESPACE_FLAGS = [0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000];
/** struct scmp_arg_cmp; compare operators of seccomp.h */
const EQUAL = 4;
const MASKED_EQUAL = 7;

interface Condition {
  readonly arg: number;
  readonly op: number;
  readonly a: number;
  readonly b: number;
}

const seccomp = koffi.load('libseccomp.so.2');
koffi.struct('scmp_arg_cmp', { arg: 'unsigned int', op: 'int', a: 'uint64_t', b: 'uint64_t' });
const init: (action: number) => unknown = seccomp.func('void *seccomp_init(uint32_t action)');
const load: (filter: unknown) => number = seccomp.func('int seccomp_load(void *filter)');
const numberOf: (name: string) => number = seccomp.func('int seccomp_syscall_resolve_name(const char *name)');
const addRule: (filter: unknown, action: number, call: number, count: number, conditions: readonly Condition[]) => number =
  seccomp.func(
    'int seccomp_rule_add_array(void *filter, uint32_t action, int call, unsigned int count, const scmp_arg_cmp *conditions)',
  );
const execve: (path: string, argv: readonly (string | null)[], env: readonly (string | null)[]) => number = koffi
  .load('libc.so.6')
  .func('int execve(const char *path, const char **argv, const char **envp)');

function add(filter: unknown, action: number, call: string, conditions: readonly Condition[] = []): void {
  const number = numberOf(call);
  // Calls of other machines (negative pseudo numbers) cannot be made here anyway.
  if (number < 0) return;
  const result = addRule(filter, action, number, conditions.length, conditions);
  if (result !== 0) throw new Error(`seccomp_rule_add ${call}: ${result}`);
}

function enforce(filter: unknown): void {
  const result = load(filter);
  if (result !== 0) throw new Error(`seccomp_load: ${result}`);
}

function limit({ calls, families, restrictNamespaces, lockPersonality }: SandboxExec): void {
  // The narrow list last: it forbids seccomp(2) itself.
  const particular = init(ALLOW);
  const known = families.map((name) => FAMILIES[name]);
  if (known.includes(undefined)) throw new Error(`an address family of unknown number: ${families.join(' ')}`);
  for (let family = 0; family <= HIGHEST_FAMILY; family++) {
    if (!known.includes(family)) {
      add(particular, refuse(EAFNOSUPPORT), 'socket', [{ arg: 0, op: EQUAL, a: family, b: 0 }]);
    }
  }
  if (restrictNamespaces) {
    add(particular, refuse(constants.errno.EPERM), 'unshare');
    add(particular, refuse(constants.errno.EPERM), 'setns');
    add(particular, refuse(constants.errno.ENOSYS), 'clone3');
    for (const flag of NAMESPACE_FLAGS) {
      add(particular, refuse(constants.errno.EPERM), 'clone', [{ arg: 0, op: MASKED_EQUAL, a: flag, b: flag }]);
    }
  }
  if (lockPersonality) add(particular, refuse(constants.errno.EPERM), 'personality');
  enforce(particular);
  const general = init(refuse(constants.errno.EPERM));
  for (const call of calls) add(general, ALLOW, call);
  enforce(general);
}

const fcntl: (fd: number, command: number, value: number) => number = koffi
  .load('libc.so.6')
  .func('int fcntl(int fd, int command, int value)');
const F_SETFD = 2;

const job = JSON.parse(process.argv[2] ?? '') as SandboxExec;
// Node marks them close-on-exec as it starts.
for (const fd of [0, 1, 2]) fcntl(fd, F_SETFD, 0);
limit(job);
const env = Object.entries(job.env).map(([name, value]) => `${name}=${value}`);
execve(job.argv[0] ?? '', [...job.argv, null], [...env, null]);
throw new Error(`execve ${job.argv[0]}: errno ${koffi.errno()}`);
