/**
 * `backroute helper`: the root process that makes services follow for a daemon that may not (docs/adr/0005). Joins the socket to the
 * runners; the configuration, which only root can write, is read again for each request.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FollowRunner } from '../action/follow-runner.js';
import type { Facts } from '../action/helper/protocol.js';
import { type Helper, serveHelper } from '../action/helper/server.js';
import { HookRunner } from '../action/hooks.js';
import { answers, groupId } from '../api/server.js';
import { loadConfig } from '../config/load.js';
import { formatProblem } from '../config/problem.js';
import type { ServicesConfig } from '../core/services.js';
import { ensureWritable } from '../history/state-store.js';
import { serviceManager } from '../kernel/notify.js';
import { makeRunDir, type Places } from './assembly.js';
import { createLog, type Severity } from './log.js';
import { type ExitCode, StartError } from './start-error.js';

export const HELPER_SOCKET_FILE = 'helper.sock';

export interface HelperOptions extends Places {
  /** whose members may ask; null = root alone */
  readonly group: string | null;
}

/** Runs until a signal. @throws StartError when it cannot start */
export async function runHelper({ configPath, stateDir, runDir, group }: HelperOptions): Promise<ExitCode> {
  if (process.geteuid?.() !== 0) {
    throw new StartError(
      3,
      'the helper changes files of other programs: it must be root',
      'start it by: systemctl start backroute-helper',
    );
  }
  const gid = group === null ? null : groupOf(group);
  await ensureWritable(stateDir).catch((error: Error) => {
    throw new StartError(
      1,
      `the state directory ${stateDir} cannot be written: ${error.message}`,
      'name another one with --state-dir',
    );
  });
  makeRunDir(runDir);
  const path = join(runDir, HELPER_SOCKET_FILE);
  if (await answers(path)) throw new StartError(1, `another helper serves ${path}`, 'name another directory with --run-dir');

  const log = createLog(1);
  await log.open();
  let helper: Helper | null = null;
  const tell = (severity: Severity, text: string): void => {
    log.write(severity, text);
    helper?.log(severity === 'notice' ? 'info' : severity, text);
  };
  // What the daemon knew of the uplinks when it asked last.
  let facts: Facts = { works: [], interfaces: {} };
  const runner = new FollowRunner(
    {
      stateDirectory: stateDir,
      uplinkWorks: (uplink) => facts.works.includes(uplink),
      interfaceOf: (uplink) => (Object.hasOwn(facts.interfaces, uplink) ? (facts.interfaces[uplink] ?? null) : null),
    },
    (outcome) => {
      // The daemon tells its people; here it is for whoever looks at this unit.
      log.write(outcome.ok || outcome.superseded ? 'info' : 'error', outcome.text);
      helper?.finished(outcome);
    },
  );
  const hooks = new HookRunner(null, {
    report: ({ severity, hook, text }) => tell(severity, hook === null ? `hooks: ${text}` : `hook ${hook}: ${text}`),
  });
  const ended = signalled();
  helper = await serveHelper({
    path,
    gid,
    load: configReader(configPath),
    follow: (ask, told) => {
      facts = told;
      runner.follow(ask);
    },
    cancel: (run) => runner.cancel(run),
    hooks: (services, notice) => {
      hooks.configure(services.hooks);
      hooks.notify(notice);
    },
  });
  const manager = serviceManager(process.env);
  manager.ready(`listens on ${path}`);
  log.write('info', `listens on ${path}`);

  await ended;
  manager.stopping();
  await helper.close();
  // What runs is finished or undone, never left halfway.
  await Promise.all([runner.close(), hooks.close()]);
  await log.close();
  return 0;
}

function signalled(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
}

function groupOf(group: string): number {
  try {
    return groupId(group);
  } catch {
    throw new StartError(
      1,
      `there is no group '${group}' in /etc/group`,
      `make it with: systemd-sysusers, or addgroup --system ${group}`,
    );
  }
}

/** The file is parsed again only when it has changed. */
function configReader(path: string): () => Promise<ServicesConfig> {
  let seen = '';
  let known: ServicesConfig | null = null;
  return async () => {
    const { mtimeMs, size, ino } = await stat(path);
    const now = `${mtimeMs} ${size} ${ino}`;
    if (known !== null && now === seen) return known;
    const result = await loadConfig(path);
    if (!result.ok) throw new Error(result.problems.map(formatProblem).join('; '));
    seen = now;
    known = result.config.services;
    return known;
  };
}
