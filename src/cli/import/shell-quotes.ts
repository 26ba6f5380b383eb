/**
 * Where a quotation, a brace or a parenthesis of the shell ends. What is never closed ends with its line: a broken script is
 * read on as well as can be.
 */

/** Letters looked at for one end: what is longer is a broken script. */
const MAX_SEARCH = 4_096;

/** Behind the quote that closes the one at `at`. */
export function closingQuote(text: string, at: number): number {
  return endOfQuote(text, at, at + MAX_SEARCH) ?? endOfLine(text, at);
}

/** Behind the `)` that closes what was opened just before `from`. */
export function closingParenthesis(text: string, from: number): number {
  return endOf(text, from, '(', ')', from + MAX_SEARCH) ?? endOfLine(text, from);
}

/** Behind the `}` that closes what was opened just before `from`. */
export function closingBrace(text: string, from: number): number {
  return endOf(text, from, '{', '}', from + MAX_SEARCH) ?? endOfLine(text, from);
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf('\n', at);
  return end < 0 ? text.length : Math.max(end, at + 1);
}

// Where an inner one is never closed the outer one is not either: so each letter is looked at once.
function endOfQuote(text: string, at: number, last: number): number | null {
  const quote = text[at];
  for (let i = at + 1; i < last && i < text.length; i++) {
    const sign = text[i];
    if (sign === quote) return i + 1;
    if (quote === "'") continue;
    if (sign === '\\') i++;
    else if (quote === '"' && (sign === '`' || (sign === '$' && /[({]/.test(text[i + 1] ?? '')))) {
      const brace = text[i + 1] === '{';
      let inner: number | null;
      if (sign === '`') inner = endOfQuote(text, i, last);
      else inner = brace ? endOf(text, i + 2, '{', '}', last, '"`') : endOf(text, i + 2, '(', ')', last);
      if (inner === null) return null;
      i = inner - 1;
    }
  }
  return null;
}

/** `quotes`: an apostrophe is none inside of double quotes. */
function endOf(text: string, from: number, open: string, close: string, last: number, quotes = '\'"`'): number | null {
  let depth = 1;
  for (let i = from; i < last && i < text.length; i++) {
    const sign = text[i];
    if (sign === '\\') i++;
    else if (sign !== undefined && quotes.includes(sign)) {
      const inner = endOfQuote(text, i, last);
      if (inner === null) return null;
      i = inner - 1;
    } else if (sign === open) depth++;
    else if (sign === close && --depth === 0) return i + 1;
  }
  return null;
}

/** 2 for a letter beyond the basic plane, else 1. */
export function letterLength(text: string, at: number): number {
  return (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
}
