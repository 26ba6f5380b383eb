/**
 * A list of lookup tables as it stands in main.cf: `type:name` divided by commas or spaces, but not within braces. postconf(5).
 */

export function mapsOf(value: string): string[] {
  const maps: string[] = [];
  let depth = 0;
  let word = '';
  for (const character of value) {
    if (character === '{') depth++;
    if (character === '}') depth--;
    if (depth === 0 && /[\s,]/.test(character)) {
      if (word !== '') maps.push(word);
      word = '';
    } else {
      word += character;
    }
  }
  return word === '' ? maps : [...maps, word];
}
