/**
 * Writes schema/backroute.schema.json anew: `node dist/src/config/write-schema.js [FILE]`.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { jsonSchemaText } from './json-schema.js';

// Two up from dist/src/config is dist/, one more is the package.
const shipped = fileURLToPath(new URL('../../../schema/backroute.schema.json', import.meta.url));
writeFileSync(process.argv[2] ?? shipped, jsonSchemaText());
