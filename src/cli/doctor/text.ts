/** Findings for people: what, why, remedy. Pure. */
import type { Paint } from '../paint.js';
import type { Finding } from './facts.js';

/** Ends with a newline. */
export function findingsText(findings: readonly Finding[], paint: Paint): string {
  if (findings.length === 0) return `${paint('green', 'Nothing found that would hurt.')}\n`;
  const blocks = findings.map((finding) => {
    const sign = finding.level === 'problem' ? paint('red', '✗') : paint('yellow', '·');
    const lines = [`${sign} ${finding.what.replaceAll('\n', '\n  ')}`, `  ${paint('dim', finding.why)}`];
    if (finding.remedy !== null) lines.push(`  ${paint('cyan', '->')} ${finding.remedy}`);
    return lines.join('\n');
  });
  const problems = findings.filter(({ level }) => level === 'problem').length;
  const fixable = findings.filter(({ fix }) => fix.length > 0).length;
  const sum = `${counted(problems, 'problem')}, ${counted(findings.length - problems, 'piece')} of advice`;
  const hint = fixable === 0 ? '' : `; \`backroute doctor --fix\` sets the sysctls of ${fixable}`;
  return `${blocks.join('\n\n')}\n\n${sum}${hint}.\n`;
}

function counted(count: number, word: string): string {
  return `${count === 0 ? 'no' : count} ${word}${count === 1 ? '' : 's'}`;
}
