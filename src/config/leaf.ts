/**
 * Building blocks of the schema: a value read from its text, a mapping with known keys, a list, and "off or a mapping".
 * They carry what editors are told of them. Knows zod, not the keys.
 */
import * as z from 'zod/mini';
import type { Complaint } from './problem.js';
import type { Reader } from './units.js';

/** What the JSON Schema says of a schema, beside what zod derives. */
export type JsonPart = Readonly<Record<string, unknown>>;

type JsonValue = string | number;

export type ValueSchema<T> = z.ZodMiniType<T, unknown>;

/** What editors are told of a schema; `inner`: the other forms it may take. The JSON Schema is generated from here. */
export const jsonParts = new WeakMap<z.core.$ZodType, { readonly json: JsonPart; readonly inner?: readonly z.core.$ZodType[] }>();

/** zod's own codes are translated by parse.ts; this one brings its complaint along. */
export interface ComplaintParams {
  readonly complaint: Complaint;
  /** what stands there may be a secret: it is not quoted */
  readonly hidden: boolean;
}

/**
 * One value, read from its text. The YAML reader hands over every scalar as text. `hidden`: texts that may
 * be a secret; what is wrong with them is told without quoting them.
 */
export function leaf<T>(reader: Reader<T>, json: JsonPart, hidden: (text: string) => boolean = () => false): ValueSchema<T> {
  const schema = z.pipe(
    z.any(),
    z.transform((value: unknown, ctx): T => {
      const read = typeof value === 'string' ? reader(value) : notScalar(reader);
      if (read.ok) return read.value;
      const params: ComplaintParams = { complaint: read, hidden: typeof value === 'string' && hidden(value) };
      ctx.issues.push({ code: 'custom', input: value, params: { ...params } });
      return z.NEVER;
    }),
  );
  jsonParts.set(schema, { json });
  return schema;
}

// A list or mapping where one value is wanted: what is wanted is what the reader says of nothing at all.
function notScalar<T>(reader: Reader<T>): { ok: false } & Complaint {
  const read = reader('');
  return read.ok ? { ok: false, message: 'a single value is wanted', allowed: null, hint: null } : { ...read, hint: null };
}

type Shape = Record<string, z.core.$ZodType>;

/** Every key may be left out. */
export function optional<S extends Shape>(shape: S): { [K in keyof S]: z.ZodMiniOptional<S[K]> } {
  const entries = Object.entries(shape).map(([key, schema]) => [key, z.optional(schema)]);
  return Object.fromEntries(entries) as { [K in keyof S]: z.ZodMiniOptional<S[K]> };
}

/** A mapping with these keys only. zod's message of it is the list of its keys: parse.ts needs them for its hints. */
export function mapping<S extends Shape>(shape: S, description: string): z.ZodMiniObject<S, z.core.$strict> {
  const keys = Object.keys(shape).join(', ');
  const schema = z.strictObject(shape, { error: () => keys });
  jsonParts.set(schema, { json: { description } });
  return schema;
}

/** `builtIn`: what holds where it is left out, as editors are told. */
export function list<T>(
  element: ValueSchema<T>,
  description: string,
  builtIn?: readonly JsonValue[],
): z.ZodMiniArray<ValueSchema<T>> {
  const schema = z.array(element, { error: () => '- …' });
  jsonParts.set(schema, { json: { description, ...(builtIn === undefined ? {} : { default: builtIn }) } });
  return schema;
}

/** A list of at least one. */
export function someOf<T>(element: ValueSchema<T>, description: string): z.ZodMiniArray<ValueSchema<T>> {
  const schema = z.array(element, { error: () => '- …' }).check(z.minLength(1, { error: () => 'at least one is wanted' }));
  jsonParts.set(schema, { json: { description } });
  return schema;
}

/** A mapping from names that the administrator chooses; `example` is one entry of it. */
export function named<T>(
  element: z.ZodMiniType<T, unknown>,
  json: JsonPart,
  example: string,
): z.ZodMiniRecord<z.ZodMiniString<string>, z.ZodMiniType<T, unknown>> {
  const schema = z.record(z.string(), element, { error: () => example });
  jsonParts.set(schema, { json });
  return schema;
}

/** A single text, or the longer form. */
export function textOr<A, B>(text: ValueSchema<A>, longer: z.ZodMiniType<B, unknown>, json: JsonPart): ValueSchema<A | B> {
  const schema = z.pipe(
    z.any(),
    z.transform((value: unknown, ctx): A | B => {
      const read =
        typeof value === 'string' ? delegate<A | B>(text, value, ctx.issues) : delegate<A | B>(longer, value, ctx.issues);
      return read ?? z.NEVER;
    }),
  );
  jsonParts.set(schema, { json, inner: [text, longer] });
  return schema;
}

/** Hands `value` to another schema; its findings become ours. */
export function delegate<T>(schema: z.ZodMiniType<T, unknown>, value: unknown, issues: z.core.$ZodRawIssue[]): T | undefined {
  const result = z.safeParse(schema, value);
  if (result.success) return result.data;
  for (const issue of result.error.issues) issues.push({ ...issue, input: value } as z.core.$ZodRawIssue);
  return undefined;
}

/** The word off, or what the mapping says. */
export function offOr<T>(inner: z.ZodMiniType<T, unknown>, description: string): ValueSchema<T | 'off'> {
  const schema = z.pipe(
    z.any(),
    z.transform((value: unknown, ctx): T | 'off' => (value === 'off' ? 'off' : (delegate(inner, value, ctx.issues) ?? z.NEVER))),
  );
  jsonParts.set(schema, { json: { description, anyOf: [{ const: 'off' }] }, inner: [inner] });
  return schema;
}
