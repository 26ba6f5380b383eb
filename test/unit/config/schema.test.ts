/** The JSON Schema and the documentation say what the code does. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { BUILT_IN } from '../../../src/config/defaults.js';
import { jsonSchema, jsonSchemaText } from '../../../src/config/json-schema.js';
import { parseConfig } from '../../../src/config/parse.js';
import { formatProblem } from '../../../src/config/problem.js';

// Compiled to dist/test/unit/config: four up is the package.
const root = new URL('../../../../', import.meta.url);

interface Node {
  readonly properties?: Readonly<Record<string, Node>>;
  readonly additionalProperties?: Node | boolean;
  readonly items?: Node;
  readonly anyOf?: readonly Node[];
  readonly default?: unknown;
  readonly description?: string;
}

test('the shipped schema is current', () => {
  assert.equal(readFileSync(new URL('schema/backroute.schema.json', root), 'utf8'), jsonSchemaText(), 'run: npm run schema');
});

test('a file with every default written out means the same as one without', () => {
  const schema = jsonSchema() as Node;
  const defaults = collect(schema.properties?.defaults);
  const top: Record<string, unknown> = collect(schema);
  const uplinks = { a: { gateway: 'r1' }, b: { gateway: 'r2' } };
  // JSON is YAML too.
  const plain = parseConfig(JSON.stringify({ uplinks }), 'f');
  const written = parseConfig(JSON.stringify({ uplinks, ...top, defaults }), 'f');
  assert.ok(plain.ok);
  assert.ok(written.ok, written.ok ? '' : written.problems.map(formatProblem).join('\n'));
  assert.deepEqual(written.config, plain.config);
  assert.equal(Object.keys(defaults).length, 6, JSON.stringify(defaults));
});

/** Every default that the schema tells, in the shape of the file. */
function collect(node: Node | undefined): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [key, child] of Object.entries(node?.properties ?? {})) {
    const mapping = child.properties === undefined ? child.anyOf?.find((form) => form.properties !== undefined) : child;
    if (key === 'uplinks' || key === 'defaults') continue;
    if (mapping !== undefined) {
      const inner = collect(mapping);
      if (Object.keys(inner).length > 0) result[key] = inner;
    } else if (child.default !== undefined) {
      result[key] = child.default;
    }
  }
  return result;
}

test('every key and every default stands in docs/config.md', () => {
  const text = readFileSync(new URL('docs/config.md', root), 'utf8');
  const missing: string[] = [];
  const visit = (node: Node): void => {
    for (const [key, child] of Object.entries(node.properties ?? {})) {
      if (!text.includes(`\`${key}\``) && !text.includes(`\`${key}: `)) missing.push(key);
      if (child.default !== undefined) {
        const row = text.split('\n').find((line) => line.startsWith(`| \`${key}\``));
        const shown = key === 'mark-mask' ? `0x${BUILT_IN.kernel.markMask.toString(16)}` : String(child.default);
        if (!row?.includes(`\`${shown}\``)) missing.push(`${key} with its default ${shown}`);
      }
      visit(child);
    }
    if (typeof node.additionalProperties === 'object') visit(node.additionalProperties);
    if (node.items !== undefined) visit(node.items);
    for (const form of node.anyOf ?? []) visit(form);
  };
  visit(jsonSchema() as Node);
  assert.deepEqual([...new Set(missing)], []);
});

test('the examples in docs/config.md are valid', () => {
  const text = readFileSync(new URL('docs/config.md', root), 'utf8');
  const examples = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)]
    .map((match) => match[1] ?? '')
    .filter((example) => /^uplinks:/m.test(example));
  assert.ok(examples.length >= 3);
  for (const example of examples) {
    const result = parseConfig(example, 'docs/config.md');
    assert.ok(result.ok, result.ok ? '' : `${example}\n${result.problems.map(formatProblem).join('\n')}`);
  }
});
