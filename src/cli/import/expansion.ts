/**
 * What parameters of a shell stand for, where the constants set before tell it; commands are never run. Knows no statements.
 * Source: POSIX.1-2017, Shell Command Language, section 2.6.
 */
import { type Environment, joined, type Value } from './environment.js';
import { closingBrace, closingParenthesis, closingQuote } from './shell-quotes.js';

const MAX_NESTED = 30;

export const COMMAND: Value = { value: null, unknown: 'it is the output of a command, which was not run' };

/** From `$` on: the parameter, the braces or the parentheses. */
export function dollarLength(text: string, at: number): number {
  const next = text[at + 1] ?? '';
  if (next === '(') return closingParenthesis(text, at + 2) - at;
  if (next === '{') return closingBrace(text, at + 2) - at;
  if (next === "'") return closingQuote(text, at + 1) - at;
  return (/^\$(\w+|[@*#?$!-])/.exec(text.slice(at, at + 100))?.[0] ?? '$').length;
}

/** What stands in double quotes or behind a dollar sign. `quoted`: blanks and single quotes are themselves. */
export function expand(text: string, environment: Environment, quoted: boolean, nested: number): Value {
  if (nested > MAX_NESTED) return { value: null, unknown: 'it is nested too deeply' };
  const parts: Value[] = [];
  for (let at = 0; at < text.length; ) {
    const sign = text[at] ?? '';
    let length = 1;
    if (sign === '\\' && at + 1 < text.length) {
      const next = text[at + 1] ?? '';
      length = 2;
      const keeps = quoted && !'$`"\\\n'.includes(next);
      parts.push({ value: keeps ? sign + next : next === '\n' ? '' : next, unknown: null });
    } else if (sign === '`') {
      length = closingQuote(text, at) - at;
      parts.push(COMMAND);
    } else if (sign === '$') {
      length = dollarLength(text, at);
      parts.push(parameter(text.slice(at, at + length), environment, nested));
    } else if (!quoted && (sign === '"' || sign === "'")) {
      length = closingQuote(text, at) - at;
      const inner = text.slice(at + 1, at + length - 1);
      parts.push(sign === "'" ? { value: inner, unknown: null } : expand(inner, environment, true, nested + 1));
    } else {
      const plain = /^[^\\`$"']+/.exec(text.slice(at))?.[0] ?? sign;
      length = plain.length;
      parts.push({ value: plain, unknown: null });
    }
    at += length;
  }
  return joined(parts);
}

/** `$x`, `${x}`, `${x:-y}` and their like; anything else stays unknown. */
function parameter(text: string, environment: Environment, nested: number): Value {
  if (text === '$') return { value: '$', unknown: null };
  if (text.startsWith('$(')) return COMMAND;
  if (text.startsWith("$'")) return { value: null, unknown: 'quotes behind a dollar sign are not read' };
  const simple = /^\$(\w+)$/.exec(text)?.[1];
  const braces = /^\$\{([A-Za-z_]\w*)(?:(:?[-=+?])([\s\S]*))?\}$/.exec(text);
  const name = simple ?? braces?.[1];
  if (name === undefined || /^\d/.test(name)) return { value: null, unknown: `${text.slice(0, 40)} is known only while it runs` };
  const known = environment.get(name);
  const operator = braces?.[2];
  if (operator === undefined || operator.endsWith('?')) return known ?? { value: null, unknown: `$${name} is not set before` };
  if (known !== null && known.value === null) return known;
  const usable = known !== null && (known.value !== '' || !operator.startsWith(':'));
  if (operator.endsWith('+'))
    return usable ? expand(braces?.[3] ?? '', environment, false, nested + 1) : { value: '', unknown: null };
  if (usable) return known;
  const fallback = expand(braces?.[3] ?? '', environment, false, nested + 1);
  if (operator.endsWith('=')) environment.assume(name, fallback);
  return fallback;
}
