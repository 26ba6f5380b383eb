/**
 * `npm test`: installs what is missing, then lint, types, and every test; a summary at the end. Without root and sudo what needs
 * none runs, and what was left out is told.
 *   npm test -- --only lab        one stage: lint, types, tests or lab (types are always compiled)
 *   npm test -- failover hold     test files whose path holds one of these words
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { build, filesBelow } from './lib/build.mjs';
import { Problem, runChild, runScript } from './lib/children.mjs';
import { leftSince, traces } from './lib/leftovers.mjs';
import { Report } from './lib/report.mjs';
import { ROOT, setUp } from './setup.mjs';

const STAGES = ['lint', 'types', 'tests', 'lab'];
const TEST_FOLDERS = ['unit', 'property', 'golden', 'scenario'];
/** Milliseconds matter in a lab: two at once is what two cores can bear. */
const LAB_CONCURRENCY = 2;
const FILE_TIMEOUT_MS = 12 * 60_000;
const GONE_WITHIN_MS = 10_000;

async function lint() {
  const biome = join(ROOT, 'node_modules/@biomejs/biome/bin/biome');
  const { code } = await runChild([process.execPath, biome, 'check', '--error-on-warnings', '.'], { cwd: ROOT });
  return { ok: code === 0, said: '' };
}

async function compile() {
  await build(ROOT);
  return { ok: true, said: '' };
}

async function runLabTests(asRoot, files) {
  const before = traces(ROOT);
  const result = await runTests(asRoot, files, LAB_CONCURRENCY);
  const left = await leftSince(before, ROOT, GONE_WITHIN_MS);
  if (left.length === 0) return { ...result, said: `${result.said}, nothing left behind` };
  process.stdout.write(`\nLeft behind by the lab tests:\n${left.map((trace) => `   ${trace}\n`).join('')}`);
  return { ok: false, said: `${result.said}, ${left.length} things LEFT BEHIND` };
}

async function runTests(asRoot, files, concurrency) {
  const dir = mkdtempSync(join(tmpdir(), 'backroute-tests-'));
  const summaryPath = join(dir, 'summary.json');
  try {
    const job = JSON.stringify({ root: ROOT, files: longestFirst(files), concurrency, timeoutMs: FILE_TIMEOUT_MS, summaryPath });
    const argv = [...asRoot, process.execPath, join(ROOT, 'scripts/run-tests.mjs'), job];
    const { code } = await runChild(argv, { cwd: ROOT });
    return { ok: code === 0, said: inWords(summaryPath) };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function inWords(summaryPath) {
  let summary;
  try {
    summary = JSON.parse(readFileSync(summaryPath, 'utf8'));
  } catch {
    return 'the runner ended before its time';
  }
  const { passed, failed, skipped } = summary;
  const parts = [`${passed} passed`];
  if (failed > 0) parts.push(`${failed} failed`);
  if (skipped > 0) parts.push(`${skipped} skipped`);
  return parts.join(', ');
}

/**
 * A test that says it may take long starts early, so that short ones run beside it. How long is the largest `timeout:` in its
 * source, in milliseconds; files that name none come last, by name.
 */
function longestFirst(files) {
  const patience = new Map(files.map((file) => [file, patienceOf(readFileSync(file, 'utf8'))]));
  return files.toSorted((a, b) => patience.get(b) - patience.get(a));
}

function patienceOf(text) {
  const found = [...text.matchAll(/\btimeout: ([\d_]+)((?: \* [\d_]+)*)/g)];
  const value = (digits) => Number(digits.replaceAll('_', ''));
  const product = ([, first, rest]) =>
    rest
      .split(' * ')
      .slice(1)
      .map(value)
      .reduce((a, b) => a * b, value(first));
  return Math.max(0, ...found.map(product));
}

function testFiles(folders, words) {
  return folders
    .flatMap((folder) => filesBelow(join(ROOT, 'dist/test', folder)))
    .filter((path) => path.endsWith('.test.js'))
    .filter((path) => words.length === 0 || words.some((word) => relative(ROOT, path).includes(word)));
}

function parseArguments(args) {
  const at = args.indexOf('--only');
  const only = at < 0 ? null : args[at + 1];
  const words = args.filter((_, index) => at < 0 || (index !== at && index !== at + 1));
  const unknown = words.find((word) => word.startsWith('-'));
  if (unknown !== undefined || (at >= 0 && !STAGES.includes(only))) {
    throw new Problem(
      unknown === undefined ? `--only: there is no stage "${only}"` : `unknown option ${unknown}`,
      `npm test -- [--only ${STAGES.join('|')}] [words in the names of test files]`,
    );
  }
  return { only, words };
}

runScript(async (args) => {
  const { only, words } = parseArguments(args);
  const wanted = (stage) => (only === null ? words.length === 0 || stage === 'tests' || stage === 'lab' : stage === only);
  const report = new Report();

  const { asRoot, missing } = await report.stage('set-up', async () => {
    const found = await setUp({ forTests: true });
    const said = found.missing.length === 0 ? 'complete' : `not found: ${found.missing.join(', ')}`;
    return { ok: true, said, ...found };
  });
  if (wanted('lint')) await report.stage('lint', lint);
  const { ok: compiled } = await report.stage('types', compile);
  const tests = wanted('tests') ? testFiles(TEST_FOLDERS, words) : [];
  const labTests = wanted('lab') ? testFiles(['lab'], words) : [];
  if (compiled && words.length > 0 && tests.length + labTests.length === 0) {
    throw new Problem(`no test file has ${words.join(' or ')} in its name`, 'the names are those below test/');
  }
  if (compiled && tests.length > 0) await report.stage('tests', () => runTests([], tests, availableParallelism()));
  if (compiled && labTests.length > 0) {
    const unable = asRoot === null ? 'needs root (or sudo)' : missing.includes('ip') ? 'needs iproute2' : null;
    if (unable === null) await report.stage('lab', () => runLabTests(asRoot, labTests));
    else report.leftOut('lab', `${unable}: ${labTests.length} files left out`);
  }
  return report.close();
});
