/**
 * Starts a program under the limits of a systemd unit without systemd: mounts, user, capabilities, system calls, in the order in
 * which systemd lays them on. What cannot be had so (cgroups, device policy, IPC and keyring) is left out.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { SandboxExec } from './sandbox-exec.js';
import { allowedCalls, isOn, parseCallSets, type Section, single, words } from './unit-file.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const EXECUTOR = '/mnt/backroute/dist/test/support/sandbox-exec.js';

export interface SandboxOptions {
  /** the unit's section [Service] */
  readonly service: Section;
  /** numbers, since the unit's user need not exist here */
  readonly uid: number;
  readonly gid: number;
  /** folders of this machine that stand in for the service's own; each is owned by the user */
  readonly state: string;
  readonly runtime: string;
  readonly logs: string;
  /** read-only folder for config and notify socket */
  readonly etc: string;
  readonly env?: Readonly<Record<string, string>>;
  /** replaces AmbientCapabilities= and CapabilityBoundingSet=, e.g. `CAP_NET_RAW`; for counterproofs */
  readonly capabilities?: readonly string[];
}

/**
 * The command line (for root, in the network namespace that the program shall have) that becomes `argv` under the limits. Inside,
 * /mnt holds `backroute` (this clone), `bin`, `state`, `runtime`, `logs` and `etc`.
 */
export function sandboxed(options: SandboxOptions, argv: readonly string[]): string[] {
  const { service, uid, gid } = options;
  const capabilities = options.capabilities ?? words(service, 'AmbientCapabilities');
  // Where the unit does not bound them, root has them all.
  const bounded = options.capabilities !== undefined || single(service, 'CapabilityBoundingSet') !== null;
  const bounding = options.capabilities ?? words(service, 'CapabilityBoundingSet');
  const change = (names: readonly string[]) =>
    ['-all', ...names.map((name) => `+${name.toLowerCase().replace('cap_', '')}`)].join(',');
  const job: SandboxExec = {
    calls: [...allowedCalls(service, parseCallSets(callSetsText()))],
    families: words(service, 'RestrictAddressFamilies'),
    restrictNamespaces: isOn(service, 'RestrictNamespaces'),
    lockPersonality: isOn(service, 'LockPersonality'),
    argv,
    env: {
      PATH: '/mnt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      STATE_DIRECTORY: '/mnt/state',
      RUNTIME_DIRECTORY: '/mnt/runtime',
      LOGS_DIRECTORY: '/mnt/logs',
      ...options.env,
    },
  };
  const drop = [
    'setpriv',
    `--reuid=${uid}`,
    `--regid=${gid}`,
    '--clear-groups',
    `--inh-caps=${change(capabilities)}`,
    `--ambient-caps=${change(capabilities)}`,
    ...(bounded ? [`--bounding-set=${change(bounding)}`] : []),
    ...(isOn(service, 'NoNewPrivileges') ? ['--no-new-privs'] : []),
    '/mnt/bin/node',
    EXECUTOR,
    JSON.stringify(job),
  ];
  const script = `${mounts(options)}umask ${single(service, 'UMask') ?? '0022'}\nexec "$@"\n`;
  return ['unshare', '--mount', '--ipc', '--propagation', 'private', 'sh', '-e', '-c', script, 'sandbox', ...drop];
}

/** The members of every set of system calls that systemd knows. */
export function callSetsText(): string {
  // Its stderr only says what a machine without tracefs cannot list.
  return execFileSync('systemd-analyze', ['syscall-filter'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}

/** What ProtectSystem=strict, ProtectHome=, PrivateTmp=, PrivateDevices=, ProtectProc= make of the file system. */
function mounts({ service, state, runtime, logs, etc, uid, gid }: SandboxOptions): string {
  const lines = [
    'mount -t tmpfs -o mode=755 sandbox /mnt',
    'cd /mnt',
    'mkdir backroute bin dev state runtime logs etc',
    'touch bin/node',
    `mount --bind ${quoted(ROOT)} backroute`,
    `mount --bind ${quoted(process.execPath)} bin/node`,
    'ln -s ../backroute/bin/backroute bin/backroute',
    `chown ${uid}:${gid} ${[state, runtime, logs].map(quoted).join(' ')}`,
    `mount --bind ${quoted(state)} state`,
    `mount --bind ${quoted(runtime)} runtime`,
    `mount --bind ${quoted(logs)} logs`,
    `mount --bind ${quoted(etc)} etc`,
  ];
  const writable = ['/mnt/state', '/mnt/runtime', '/mnt/logs'];
  if (isOn(service, 'PrivateTmp')) {
    lines.push(...['/tmp', '/var/tmp'].map((dir) => `mount -t tmpfs -o mode=1777 sandbox ${dir}`));
    writable.push('/tmp', '/var/tmp');
  }
  if (isOn(service, 'ProtectHome')) {
    lines.push(...['/home', '/root', '/run/user'].map((dir) => `test ! -d ${dir} || mount -t tmpfs -o mode=000 sandbox ${dir}`));
  }
  if (isOn(service, 'PrivateDevices')) {
    lines.push('mount -t tmpfs -o mode=755 sandbox dev');
    lines.push('for one in null zero full random urandom tty; do touch dev/$one; mount --bind /dev/$one dev/$one; done');
    lines.push('mount --rbind dev /dev');
  }
  if (isOn(service, 'ProtectKernelTunables')) {
    lines.push('mount --bind /proc/sys /proc/sys', 'mount -o remount,bind,ro /proc/sys');
  }
  if (single(service, 'ProtectProc') === 'invisible') lines.push('mount -t proc -o hidepid=invisible proc /proc');
  if (single(service, 'ProtectSystem') === 'strict') {
    const kept = [...writable, '/proc', '/proc/*', '/dev', '/dev/*', '/sys', '/sys/fs/bpf'].join('|');
    // Mounts that others lie over cannot be reached, which the remount then says of them.
    lines.push(
      'while read -r _ _ _ _ place _; do',
      `  case "$place" in ${kept}) ;; *) mount -o remount,bind,ro "$place" 2>/dev/null || true ;; esac`,
      'done </proc/self/mountinfo',
    );
  }
  return `${lines.join('\n')}\ncd /\n`;
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
