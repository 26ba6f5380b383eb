/**
 * What would make a follower fail on the day it is needed, found beforehand for `backroute check`. Reads and asks only; each finding
 * names its remedy. What it cannot see (other users' rights, a service that refuses) the transaction meets safely.
 */
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Argv, FilesConfig, FollowerConfig, HooksConfig, RelayConfig, ResolverConfig } from '../../core/services.js';
import { commandFailure, runCommand, searchPath } from '../command.js';
import { hooksIn } from '../hooks.js';
import { readSecret } from '../telling/secret.js';
import { readSmall } from './disk.js';
import { mayReplace } from './files.js';
import { dnsmasqPid, ResolvConfService } from './resolver.js';
import { textOf } from './service.js';

const TIMEOUT_MS = 5_000;
/** resolv.conf(5): MAXNS */
const MAX_NAMESERVERS = 3;

/** What works all the same, though not as well as it might; everything else found here would fail. */
const ADVICE = [/: no `pid-file` is named/, /: resolv\.conf takes three/, /sends the password unencrypted/, /: not run: it /];

export function isOnlyAdvice(problem: string): boolean {
  return ADVICE.some((pattern) => pattern.test(problem));
}

/** Sentences for people, without secrets. Never rejects. */
export async function followerProblems(follower: FollowerConfig): Promise<string[]> {
  const found = await problemsOf(follower).catch((error: unknown) => [textOf(error)]);
  return [...new Set(found)].map((problem) => `${follower.name}: ${problem}`);
}

/** As {@link followerProblems}, for programs of the hooks. */
export async function hookProblems(hooks: HooksConfig): Promise<string[]> {
  const refused = hooks.directory === null ? [] : (await hooksIn(hooks.directory)).refused;
  const commands = await Promise.all(hooks.commands.map(programProblem));
  return [...refused, ...commands.flat()].map((problem) => `hooks: ${problem}`);
}

function problemsOf(follower: FollowerConfig): Promise<string[]> {
  switch (follower.kind) {
    case 'files':
      return filesProblems(follower);
    case 'mail-relay':
      return relayProblems(follower);
    case 'resolver':
      return resolverProblems(follower);
  }
}

async function filesProblems({ copies, check, reload }: FilesConfig): Promise<string[]> {
  const found: string[] = [];
  for (const [uplink, pairs] of Object.entries(copies)) {
    for (const { from, to } of pairs) {
      found.push(...(await sourceProblem(from, uplink)), ...(await targetProblem(to)));
    }
  }
  for (const argv of [check, reload]) if (argv !== null) found.push(...(await programProblem(argv)));
  return found;
}

async function sourceProblem(path: string, uplink: string): Promise<string[]> {
  const remedy = `write what ${uplink} wants there`;
  try {
    return (await readSmall(path)) === null ? [`${path} is not there: ${remedy}`] : [];
  } catch (error) {
    return [`${textOf(error)}: ${remedy}, readable for the daemon`];
  }
}

async function targetProblem(path: string): Promise<string[]> {
  try {
    await mayReplace(path);
    await readSmall(path);
    return [];
  } catch (error) {
    return [`${path} cannot be replaced: ${textOf(error)}: its folder must be there and writable for the daemon`];
  }
}

async function programProblem(argv: Argv): Promise<string[]> {
  const [program = ''] = argv;
  if (program.includes('/') && !program.startsWith('/')) return [`${program}: write the whole path; commands run in /`];
  const places = program.startsWith('/')
    ? [program]
    : searchPath()
        .split(':')
        .map((folder) => join(folder, program));
  let there: string | null = null;
  for (const place of places) {
    try {
      if (!(await stat(place)).isFile()) continue;
      there ??= place;
      await access(place, constants.X_OK);
      return [];
    } catch {
      // The next folder may have it.
    }
  }
  if (there !== null) return [`${there} is not executable: chmod +x ${there}`];
  return [`the program ${program} was not found: install it, or write its whole path`];
}

async function relayProblems({ postfixDirectory, smarthosts }: RelayConfig): Promise<string[]> {
  const missing = await programProblem(['postconf']);
  if (missing.length > 0) return ['Postfix is not installed: apt-get install postfix, or use `files` for another mail server'];
  const names = ['smtp_tls_security_level', 'smtp_sasl_security_options', 'smtp_sasl_tls_security_options', 'maillog_file'];
  const argv = ['postconf', '-c', postfixDirectory, '-x', ...names];
  const result = await runCommand({ argv, timeoutMs: TIMEOUT_MS });
  const failure = commandFailure(argv, result);
  if (failure !== null) return [`${failure}: name Postfix's configuration directory in \`postfix-directory\``];
  const found = await targetProblem(join(postfixDirectory, 'main.cf'));
  const logins = Object.values(smarthosts).flatMap(({ login }) => (login === null ? [] : [login]));
  for (const { password } of logins) {
    await readSecret(password).catch((error: unknown) => found.push(`${textOf(error)}: the smarthost wants a password`));
  }
  if (logins.length > 0) found.push(...loginProblems(result.output));
  return found;
}

/** Postfix defers all mail when it may not send a password the way the server wants it: SASL_README. */
function loginProblems(postconf: string): string[] {
  const value = (name: string): string => new RegExp(`^${name} = ?(.*)$`, 'm').exec(postconf)?.[1] ?? '';
  const refuses = (name: string): boolean =>
    value(name)
      .split(/[\s,]+/)
      .includes('noplaintext');
  const level = value('smtp_tls_security_level');
  if (level === '' || level === 'none') {
    if (!refuses('smtp_sasl_security_options'))
      return ['Postfix sends the password unencrypted: postconf -e smtp_tls_security_level=encrypt'];
    return [
      'Postfix sends no password without TLS: postconf -e smtp_tls_security_level=encrypt smtp_sasl_tls_security_options=noanonymous',
    ];
  }
  if (!refuses('smtp_sasl_tls_security_options')) return [];
  return ['Postfix refuses the usual ways to log in, PLAIN and LOGIN: postconf -e smtp_sasl_tls_security_options=noanonymous'];
}

async function resolverProblems(config: ResolverConfig): Promise<string[]> {
  const { how, path, pidFile } = config;
  if (how === 'systemd-resolved') return programProblem(['resolvectl']);
  const found = await targetProblem(path);
  if (how === 'dnsmasq') {
    if (pidFile === null) found.push('no `pid-file` is named: dnsmasq takes the servers up at its next start alone');
    else if ((await dnsmasqPid(pidFile)) === null)
      found.push(`${pidFile} names no running dnsmasq: start it, or mend \`pid-file\``);
    return found;
  }
  for (const [uplink, servers] of Object.entries(config.servers)) {
    if (servers.length > MAX_NAMESERVERS)
      found.push(`${uplink} has ${servers.length} servers: resolv.conf takes three, the rest is never asked`);
    await new ResolvConfService(config, uplink).want().catch((error: unknown) => found.push(textOf(error)));
  }
  return found;
}
