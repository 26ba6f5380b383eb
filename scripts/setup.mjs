/**
 * Makes a fresh clone ready: checks Node, installs the npm packages and the Debian packages that are missing. Says what it does,
 * and nothing when there is nothing to do. Plain Node, no packages; readable for older versions, so that they get the message.
 * `npm start` and `npm test` begin with it; alone: `node scripts/setup.mjs`.
 */
import { createHash } from 'node:crypto';
import { accessSync, constants, lstatSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Problem, runChild, runScript } from './lib/children.mjs';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));

const NODE_NEEDED = [20, 19];

/** Programs by the Debian package that has them. */
const NEEDED = { ip: 'iproute2', nft: 'nftables', conntrack: 'conntrack', ping: 'iputils-ping' };
/** What tests use beside these; those that miss it say so and are skipped. */
const FOR_TESTS = {
  'systemd-analyze': 'systemd',
  setpriv: 'util-linux',
  nsenter: 'util-linux',
  postfix: 'postfix',
  mosquitto: 'mosquitto',
  dnsmasq: 'dnsmasq-base',
  dhclient: 'isc-dhcp-client',
  udhcpc: 'udhcpc',
};
/** What a program needs beside its own package, for us. */
const WITH = { postfix: ['libsasl2-modules'] };
/** Postfix shall ask nobody, and set up nothing. */
const PRESEED = 'postfix postfix/main_mailer_type select No configuration';

/**
 * @param forTests also what only tests need
 * @returns {Promise<{asRoot: string[] | null, missing: string[]}>} how to begin a command that needs root (empty: as it is; null:
 *   not possible), and the programs that are missing still
 */
export async function setUp({ forTests = false } = {}) {
  checkMachine();
  await installNpmPackages();
  const asRoot = await waysToRoot();
  const missing = await installDebianPackages(forTests ? { ...NEEDED, ...FOR_TESTS } : NEEDED, asRoot);
  return { asRoot, missing };
}

function checkMachine() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < NODE_NEEDED[0] || (major === NODE_NEEDED[0] && minor < NODE_NEEDED[1])) {
    throw new Problem(
      `Backroute needs Node ${NODE_NEEDED.join('.')} or newer; this is ${process.versions.node}`,
      "Debian 13: apt-get install nodejs npm. Debian 12's own is too old: take Node 22 or newer from https://nodejs.org/en/download",
    );
  }
  if (process.platform !== 'linux') {
    throw new Problem(`Backroute runs on Linux; this is ${process.platform}`, 'try it in a virtual machine with Debian 12 or 13');
  }
}

async function installNpmPackages() {
  const lock = readFileSync(join(ROOT, 'package-lock.json'));
  const hash = createHash('sha256').update(lock).digest('hex');
  const marker = join(ROOT, 'node_modules', '.backroute-setup');
  if (readIfThere(marker) === hash || isNewer('node_modules/.package-lock.json', 'package-lock.json')) return;
  if (isLink('node_modules')) {
    throw new Problem(
      'node_modules is a link to another folder, and npm ci would empty that one',
      'remove the link (rm node_modules), then try again',
    );
  }
  say('Installing the npm packages (npm ci) …');
  const started = Date.now();
  // No package of ours needs an install script; none gets to run one.
  const argv = ['npm', 'ci', '--ignore-scripts', '--include=dev', '--no-audit', '--no-fund'];
  const { code, output } = await runChild(argv, { quiet: true, cwd: ROOT });
  if (code !== 0) {
    process.stderr.write(lastLines(output));
    throw new Problem('npm ci failed', 'see that the registry can be reached (npm ping), then try again');
  }
  writeFileSync(marker, hash);
  say(`  done after ${seconds(started)}`);
}

async function installDebianPackages(wanted, asRoot) {
  const missing = Object.keys(wanted).filter((program) => !isInPath(program));
  if (missing.length === 0) return [];
  const packages = [...new Set(missing.flatMap((program) => [wanted[program], ...(WITH[program] ?? [])]))];
  const what = packages.join(' ');
  if (!isInPath('apt-get')) {
    say(`Not found: ${missing.join(', ')}. There is no apt-get here: install what Debian calls ${what}.`);
    return missing;
  }
  if (asRoot === null) {
    say(`Not found: ${missing.join(', ')}. Without root they stay so; as root: apt-get install ${what}`);
    return missing;
  }
  say(`Installing Debian packages (apt-get install ${what}) …`);
  const started = Date.now();
  let result = hasPackageLists() ? await install(asRoot, packages) : null;
  if (result === null || result.code !== 0) {
    const update = await aptGet(asRoot, ['update']);
    result = update.code === 0 ? await install(asRoot, packages) : update;
    // One that cannot be had, or would push another out, must not take the others with it.
    if (result.code !== 0 && packages.length > 1) for (const one of packages) await install(asRoot, [one]);
  }
  const left = missing.filter((program) => !isInPath(program));
  if (left.length === 0) say(`  done after ${seconds(started)}`);
  else {
    process.stderr.write(lastLines(result.output));
    say(
      `  could not be installed; still not found: ${left.join(', ')}. Try it by hand: apt-get update && apt-get install ${what}`,
    );
  }
  return left;
}

/** Another mail server on this machine is not to go for ours: nothing is removed. */
async function install(asRoot, packages) {
  if (packages.includes('postfix') && isInPath('debconf-set-selections')) {
    await runChild([...asRoot, 'sh', '-c', `echo '${PRESEED}' | debconf-set-selections`], { quiet: true });
  }
  const words = ['install', '-y', '--no-install-recommends', '--no-remove', ...packages];
  return await aptGet([...asRoot, 'sh', join(ROOT, 'scripts/lib/quietly.sh')], words);
}

function aptGet(asRoot, words) {
  // As arguments of env(1): sudo drops what is in the environment.
  const env = ['env', 'DEBIAN_FRONTEND=noninteractive', 'NEEDRESTART_MODE=l', 'LC_ALL=C.UTF-8'];
  const argv = [...asRoot, ...env, 'apt-get', '-q', '-o', 'DPkg::Lock::Timeout=120', '-o', 'Dpkg::Use-Pty=0', ...words];
  return runChild(argv, { quiet: true });
}

/** How to become root: not needed, through sudo, or null. Where sudo needs a password, a person must be there to give it. */
async function waysToRoot() {
  if (process.getuid() === 0) return [];
  if (!isInPath('sudo')) return null;
  if (process.stdin.isTTY === true) return ['sudo'];
  const { code } = await runChild(['sudo', '-n', 'true'], { quiet: true });
  return code === 0 ? ['sudo', '-n'] : null;
}

function isInPath(program) {
  // `su` without a dash leaves root without the folders where ip and nft are; a user has them never.
  const dirs = [...(process.env.PATH || '').split(delimiter), '/usr/sbin', '/sbin', '/usr/bin', '/bin'];
  return dirs.some((dir) => {
    try {
      accessSync(join(dir, program), constants.X_OK);
      return dir !== '';
    } catch {
      return false;
    }
  });
}

function hasPackageLists() {
  try {
    return readdirSync('/var/lib/apt/lists').some((name) => name.includes('_Packages'));
  } catch {
    return false;
  }
}

function isNewer(path, than) {
  try {
    return statSync(join(ROOT, path)).mtimeMs >= statSync(join(ROOT, than)).mtimeMs;
  } catch {
    return false;
  }
}

function isLink(path) {
  return lstatSync(join(ROOT, path), { throwIfNoEntry: false })?.isSymbolicLink() === true;
}

function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

function lastLines(output) {
  return `${output.trim().split('\n').slice(-20).join('\n')}\n`;
}

function seconds(startedMs) {
  return `${((Date.now() - startedMs) / 1000).toFixed(1)} s`;
}

function say(text) {
  process.stdout.write(`${text}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  runScript(async () => {
    const { missing } = await setUp({ forTests: process.argv.includes('--for-tests') });
    return missing.length === 0 ? 0 : 1;
  });
}
