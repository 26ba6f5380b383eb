/** Pieces of SVG as text, always well-formed whatever names they hold. Pure. */

/** Where the time axis lies. */
export interface Frame {
  readonly left: number;
  readonly width: number;
  readonly fromMs: number;
  readonly toMs: number;
}

type Attributes = Readonly<Record<string, string | number>>;

/** Text as XML takes it; what XML 1.0 cannot hold at all becomes a question mark. */
export function escaped(text: string): string {
  return text
    .replace(/[^\t\n\r\x20-\ud7ff\ue000-\ufffd]/g, '?')
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/"/g, '&quot;');
}

/** @param content well-formed already */
export function element(name: string, attributes: Attributes, content = ''): string {
  const given = Object.entries(attributes).map(([key, value]) => ` ${key}="${escaped(String(value))}"`);
  return content === '' ? `<${name}${given.join('')}/>` : `<${name}${given.join('')}>${content}</${name}>`;
}

export function label(x: number, y: number, words: string, attributes: Attributes = {}): string {
  return element('text', { x: Math.round(x), y: Math.round(y), ...attributes }, escaped(words));
}
