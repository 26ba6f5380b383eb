/**
 * What is wrong with the places of a channel's secrets, for `check`: not there, not readable for the daemon, or readable for all.
 * No secret is kept or told.
 */
import { stat } from 'node:fs/promises';
import type { ChannelConfig, SecretRef } from '../../core/services.js';
import { readSecret } from './secret.js';

export interface SecretProblem {
  readonly severity: 'error' | 'warning';
  readonly text: string;
}

/** The user and group that the daemon's unit runs as; null where they are not on this machine. */
export interface DaemonIds {
  readonly uid: number;
  readonly gid: number;
}

const GROUP_READS = 0o040;
const OTHERS_READ = 0o004;

/** Never rejects. */
export async function secretProblems(channel: ChannelConfig, daemon: DaemonIds | null): Promise<SecretProblem[]> {
  const found = await Promise.all(secretsOf(channel).map((ref) => problemsOf(ref, daemon)));
  return found.flat();
}

function secretsOf({ transport }: ChannelConfig): SecretRef[] {
  const login = transport.kind === 'mail' ? transport.smtp?.login : transport.kind === 'mqtt' ? transport.login : null;
  const refs: SecretRef[] = login == null ? [] : [login.password];
  if (transport.kind !== 'webhook') return refs;
  const words = [transport.url, transport.token, ...Object.values(transport.headers)];
  return [...refs, ...words.filter((word) => word !== null && typeof word !== 'string')];
}

async function problemsOf(ref: SecretRef, daemon: DaemonIds | null): Promise<SecretProblem[]> {
  try {
    await readSecret(ref);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    // A unit has an environment of its own, which this process does not see.
    if (ref.kind === 'environment') return [{ severity: 'warning', text: `${text} here: the daemon must have it` }];
    return [{ severity: 'error', text: `${text}: the secret is wanted there` }];
  }
  return ref.kind === 'file' ? await modeProblems(ref.path, daemon) : [];
}

async function modeProblems(path: string, daemon: DaemonIds | null): Promise<SecretProblem[]> {
  try {
    const { mode, uid, gid } = await stat(path);
    if ((mode & OTHERS_READ) !== 0)
      return [{ severity: 'warning', text: `${path} can be read by everybody on this machine: chmod o-rwx ${path}` }];
    if (daemon === null || uid === daemon.uid || (gid === daemon.gid && (mode & GROUP_READS) !== 0)) return [];
    const remedy = `chown root:backroute ${path} && chmod 0640 ${path}`;
    return [{ severity: 'warning', text: `${path} cannot be read by the user backroute, as which the unit runs: ${remedy}` }];
  } catch (error) {
    return [{ severity: 'error', text: `${path} cannot be read: ${String(error)}` }];
  }
}
