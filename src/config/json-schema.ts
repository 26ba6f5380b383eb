/**
 * The JSON Schema for editors, generated from the schema that reads the file. Not loaded by the daemon.
 */
import * as z from 'zod/mini';
import { jsonParts } from './leaf.js';
import { fileSchema } from './schema.js';

type Json = Record<string, unknown>;

/** JSON Schema of a whole configuration file. */
export function jsonSchema(): Json {
  const schema = convert(fileSchema);
  const { $schema, ...rest } = schema;
  return { $schema, title: 'Backroute configuration', ...rest };
}

/** The text of schema/backroute.schema.json. */
export function jsonSchemaText(): string {
  return `${JSON.stringify(jsonSchema(), null, 2)}\n`;
}

function convert(schema: z.core.$ZodType): Json {
  return z.toJSONSchema(schema, {
    io: 'input',
    // What yaml-language-server, and with it most editors, understands best.
    target: 'draft-7',
    override: ({ zodSchema, jsonSchema }) => {
      const part = jsonParts.get(zodSchema);
      if (part === undefined) return;
      Object.assign(jsonSchema, part.json);
      if (part.inner === undefined) return;
      const forms = part.inner.map((inner) => {
        const { $schema: _, ...form } = convert(inner);
        return form;
      });
      const former = Array.isArray(jsonSchema.anyOf) ? jsonSchema.anyOf : [];
      Object.assign(jsonSchema, { anyOf: [...former, ...forms] });
    },
  });
}
