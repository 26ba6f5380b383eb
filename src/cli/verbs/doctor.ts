/** `backroute doctor`: what would hurt on this machine, each with its remedy; `--fix` applies the safe ones, sysctls. */
import { readSysctl, writeSysctl } from '../../kernel/sysctl.js';
import { collectFacts } from '../doctor/collect.js';
import type { Finding } from '../doctor/facts.js';
import { diagnose } from '../doctor/findings.js';
import { findingsText } from '../doctor/text.js';
import { ExitError } from '../exit-error.js';
import type { Io } from '../io.js';
import type { Places } from '../places.js';

/** @returns 0 when no problem is left, 1 else */
export async function doctor(
  places: Places,
  options: { readonly fix?: boolean; readonly json?: boolean },
  io: Io,
): Promise<number> {
  let findings = diagnose(await collectFacts(places));
  const fixed = options.fix === true ? findings.flatMap((finding) => fix(finding, io)) : [];
  if (fixed.length > 0) findings = diagnose(await collectFacts(places));
  if (options.json === true) io.out(`${JSON.stringify({ findings, fixed }, null, 2)}\n`);
  else {
    if (fixed.length > 0) {
      const lines = fixed.map(({ key, before, value }) => `set ${key} = ${value} (it was ${before ?? 'not there'})`);
      io.out(`${lines.join('\n')}\nUntil the next boot; to keep them, put them into /etc/sysctl.d/90-backroute.conf.\n\n`);
    }
    io.out(findingsText(findings, io.paint));
  }
  return findings.some(({ level }) => level === 'problem') ? 1 : 0;
}

interface Fixed {
  readonly key: string;
  readonly before: string | null;
  readonly value: string;
}

function fix(finding: Finding, io: Io): Fixed[] {
  return finding.fix.flatMap(([key, value]) => {
    const before = readSysctl(key);
    if (before === null || before === value) return [];
    try {
      writeSysctl(key, value);
      return [{ key, before, value }];
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === 'EACCES' || code === 'EPERM') throw new ExitError(3, `${key} may not be set by this user`, 'run it as root');
      io.err(`${key}: ${message}\n`);
      return [];
    }
  });
}
