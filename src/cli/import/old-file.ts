/**
 * The bytes of a file that is said to be an old script: to text, or to the reason why it is none. Pure.
 */

export type ReadOldFile = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly why: string };

/** A script of constants has a few kilobytes. */
export const MAX_BYTES = 128 * 1024;

const SHELLS: ReadonlySet<string> = new Set(['sh', 'bash', 'dash', 'ash', 'ksh', 'ksh93', 'mksh', 'pdksh', 'zsh', 'busybox']);

export function readOldFile(bytes: Uint8Array): ReadOldFile {
  const refuse = (why: string): ReadOldFile => ({ ok: false, why });
  if (bytes.length > MAX_BYTES) return refuse(`it has more than ${MAX_BYTES / 1024} KiB: no script of constants is that large`);
  const utf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  if (utf16) return refuse('it is UTF-16: save it as UTF-8');
  if (bytes.includes(0)) return refuse('it is binary');
  const text = decode(bytes)
    .replace(/^\ufeff/, '')
    .replace(/\r\n?/g, '\n');
  if (text.trim() === '') return refuse('it is empty');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is counted
  const odd = text.match(/[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x9f]/g)?.length ?? 0;
  if (odd > 2 + text.length / 200) return refuse('it is binary');
  if (/^\s*<(!doctype|html|\?xml|head|body)/i.test(text)) return refuse('it is a web page');
  if (/^uplinks:/m.test(text)) return refuse('it is a configuration of Backroute already');
  const interpreter = /^#![ \t]*(\S+)(?:[ \t]+(?:-\S+[ \t]+)*(\S+))?/.exec(text);
  const first = interpreter?.[1]?.split('/').at(-1);
  const name = first === 'env' ? interpreter?.[2]?.split('/').at(-1) : first;
  if (name !== undefined && !SHELLS.has(name)) return refuse(`it is a program for ${name.replace(/[^\w.-]/g, '?').slice(0, 40)}`);
  return { ok: true, text };
}

/** Old scripts are often older than UTF-8. */
function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return Buffer.from(bytes).toString('latin1');
  }
}
