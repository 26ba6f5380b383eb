/**
 * What would go wrong with telling people and with services that follow, found by the adapters and put where it stands in the
 * file. For `check`; changes nothing and sends nothing.
 */
import { readFile } from 'node:fs/promises';
import { followerProblems, hookProblems, isOnlyAdvice } from '../action/following/problems.js';
import { type DaemonIds, secretProblems } from '../action/telling/secret-problems.js';
import { channelProblems } from '../action/telling/telling.js';
import { formatPath, type Path, type Problem } from '../config/problem.js';
import type { Source } from '../config/source.js';
import type { FollowerConfig, ServicesConfig } from '../core/services.js';

/** As whom the packaged unit runs. */
const DAEMON_USER = 'backroute';

/** Never rejects. */
export async function serviceProblems(services: ServicesConfig, source: Source): Promise<Problem[]> {
  const at = (path: Path, severity: Problem['severity'], message: string): Problem => ({
    severity,
    file: source.file,
    ...source.place(path),
    path: formatPath(path),
    found: null,
    message,
    allowed: null,
    hint: null,
  });
  // Whoever is not root cannot tell what root will be able to do.
  const worst = process.geteuid?.() === 0 ? 'error' : 'warning';
  const judged = (path: Path, name: string, texts: readonly string[]): Problem[] =>
    texts.map((text) => at(path, isOnlyAdvice(text) ? 'warning' : worst, text.replace(`${name}: `, '')));

  const daemon = await daemonIds();
  const channels = services.channels.map(async (channel): Promise<Problem[]> => {
    const path = ['notify', channel.name];
    const [wrong, secrets] = await Promise.all([channelProblems(channel), secretProblems(channel, daemon)]);
    return [...wrong.map((text) => at(path, 'error', text)), ...secrets.map(({ severity, text }) => at(path, severity, text))];
  });
  const followers = services.followers.map(async (follower) =>
    judged(placeOf(follower), follower.name, await followerProblems(follower)),
  );
  const hooks = services.hooks === null ? [] : judged(['hooks'], 'hooks', await hookProblems(services.hooks));
  return [...(await Promise.all(channels)).flat(), ...(await Promise.all(followers)).flat(), ...hooks];
}

function placeOf({ kind, name }: FollowerConfig): Path {
  return kind === 'files' ? ['follow', name] : [kind];
}

/** Node has no getpwnam(3); the unit's user is a local one. */
async function daemonIds(): Promise<DaemonIds | null> {
  const text = await readFile('/etc/passwd', 'utf8').catch(() => '');
  const [, , uid, gid] =
    text
      .split('\n')
      .find((line) => line.startsWith(`${DAEMON_USER}:`))
      ?.split(':') ?? [];
  return uid === undefined || gid === undefined ? null : { uid: Number(uid), gid: Number(gid) };
}
