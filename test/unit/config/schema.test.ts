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
  assert.equal(Object.keys(defaults).length, 7, JSON.stringify(defaults));
});

const FAST_AND_BACKUP = 'uplinks:\n  fast: {gateway: 192.168.1.253}\n  backup: {gateway: 192.168.1.1}\n';

/** Sections that do something as soon as they are there: their defaults are no defaults of the file. */
const SWITCHED_ON: readonly string[] = ['drill', 'notify', 'mail-relay', 'follow', 'resolver', 'hooks'];

test('a service with every default written out means the same as one without', () => {
  const schema = jsonSchema() as Node;
  const uplinks = { a: { gateway: 'r1' }, b: { gateway: 'r2' } };
  const least: Readonly<Record<string, Record<string, unknown>>> = {
    'mail-relay': { smarthosts: { a: 'smtp.example.net', b: 'smtp.example.org' } },
    resolver: { servers: { a: ['192.0.2.53'], b: ['192.0.2.54'] }, dnsmasq: { 'servers-file': '/etc/dnsmasq.servers' } },
    hooks: {},
  };
  for (const [key, section] of Object.entries(least)) {
    const written = collect(schema.properties?.[key]);
    assert.ok(Object.keys(written).length > 0, key);
    const both = [section, merged(written, section)].map((value) => parseConfig(JSON.stringify({ uplinks, [key]: value }), 'f'));
    const [plain, full] = both.map((result) => (result.ok ? result.config.services : result.problems.map(formatProblem)));
    assert.deepEqual(full, plain);
    assert.ok(!Array.isArray(plain), JSON.stringify(plain));
  }
});

test('a drill and a metered uplink with every default written out mean the same as without', () => {
  const top = jsonSchema() as Node;
  const uplink = top.properties?.uplinks?.additionalProperties;
  assert.ok(typeof uplink === 'object');
  const file = (metered: unknown, drill: unknown): string =>
    JSON.stringify({ uplinks: { a: { gateway: 'r1' }, b: { gateway: 'r2', metered } }, drill });
  const written = [
    collect({ properties: { metered: uplink.properties?.metered ?? {} } }).metered,
    collect(top.properties?.drill),
  ];
  assert.deepEqual(
    written.map((section) => Object.keys(section as object).length),
    [3, 4],
  );
  const [plain, full] = [file(true, {}), file(written[0], written[1])].map((text) => parseConfig(text, 'f'));
  assert.ok(plain?.ok && full?.ok);
  assert.deepEqual(full.config, plain.config);
});

function merged(defaults: Record<string, unknown>, own: Record<string, unknown>): Record<string, unknown> {
  const result = { ...defaults, ...own };
  for (const [key, value] of Object.entries(own)) {
    const builtIn = defaults[key];
    if (typeof value === 'object' && typeof builtIn === 'object') result[key] = { ...builtIn, ...value };
  }
  return result;
}

test('a channel with every default written out means the same as one without', () => {
  const node = (jsonSchema() as Node).properties?.notify?.additionalProperties;
  assert.ok(typeof node === 'object');
  const uplinks = { a: { gateway: 'r1' } };
  const least: Readonly<Record<string, Record<string, unknown>>> = {
    mail: { to: 'admin@example.net' },
    webhook: { url: 'https://example.net/' },
    mqtt: { url: 'mqtt://broker.example.net' },
  };
  for (const [kind, own] of Object.entries(least)) {
    const written: Record<string, unknown> = { ...collect(node.properties?.[kind]), ...own };
    const channels = [{ [kind]: own }, { [kind]: written, 'max-age': '7d', topics: ['health', 'switch', 'problem'] }];
    const [plain, full] = channels.map((channel) => parseConfig(JSON.stringify({ uplinks, notify: { c: channel } }), 'f'));
    assert.ok(plain?.ok && full?.ok, kind);
    assert.deepEqual(full.config.services, plain.config.services);
    assert.ok(Object.keys(written).length > 1, kind);
  }
});

/** Every default that the schema tells, in the shape of the file. */
function collect(node: Node | undefined): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [key, child] of Object.entries(node?.properties ?? {})) {
    const mapping = child.properties === undefined ? child.anyOf?.find((form) => form.properties !== undefined) : child;
    if (key === 'uplinks' || key === 'defaults' || SWITCHED_ON.includes(key)) continue;
    if (mapping !== undefined) {
      const inner = collect(mapping);
      if (Object.keys(inner).length > 0) result[key] = inner;
      else if (typeof child.default === 'string') result[key] = child.default;
    } else if (child.default !== undefined) {
      result[key] = child.default;
    }
  }
  return result;
}

function shownDefault(value: unknown): string {
  return Array.isArray(value) ? `[${value.join(', ')}]` : String(value);
}

test('every key and every default stands in docs/config.md', () => {
  const text = readFileSync(new URL('docs/config.md', root), 'utf8');
  const missing: string[] = [];
  const visit = (node: Node): void => {
    for (const [key, child] of Object.entries(node.properties ?? {})) {
      if (!text.includes(`\`${key}\``) && !text.includes(`\`${key}: `)) missing.push(key);
      if (child.default !== undefined) {
        const rows = text.split('\n').filter((line) => line.startsWith(`| \`${key}\``));
        const shown = key === 'mark-mask' ? `0x${BUILT_IN.kernel.markMask.toString(16)}` : shownDefault(child.default);
        if (!rows.some((row) => row.includes(`\`${shown}\``))) missing.push(`${key} with its default ${shown}`);
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
    // A section of its own needs the two uplinks that it speaks of.
    .map((example) =>
      [...SWITCHED_ON, 'via', 'connections'].some((key) => example.startsWith(`${key}:`))
        ? `${FAST_AND_BACKUP}${example}`
        : example,
    )
    .filter((example) => /^uplinks:/m.test(example));
  assert.ok(examples.length >= 14);
  for (const example of examples) {
    const result = parseConfig(example, 'docs/config.md');
    assert.ok(result.ok, result.ok ? '' : `${example}\n${result.problems.map(formatProblem).join('\n')}`);
  }
});
