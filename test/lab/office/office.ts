/**
 * The office: a lab with a real Postfix on the gateway, a smarthost at each provider that takes mail from its own customers only,
 * and the administrator's mailbox beyond. Everything is in place when the story begins, but the daemon; and gone afterwards.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Lab } from '../../../src/lab/lab.js';
import { MAILBOX4 } from '../../../src/lab/topologies.js';
import { needsPostfix, PostfixInstance } from '../../support/postfix-instance.js';
import { type ConfigFile, quick } from '../proof/config-file.js';
import { eventually, type Gateway, proof } from '../proof/gateway.js';
import type { MailClientOptions, Sent } from './mail-client.js';
import type { MailServerOptions, RefusedMail, Said, TakenMail } from './mail-server.js';

export const PORT = 25;
/** A word that is in every secret here, and nowhere else. */
export const SECRET_WORD = 'Schluesselblume';
const GATEWAY_LAN = '192.168.1.2';

/** How a JSON-lines program of this folder is started in a node, and heard. */
export function program<T>(lab: Lab, node: string, module: string, options: object, hear: (line: T) => void): ChildProcess {
  const path = fileURLToPath(new URL(`./${module}.js`, import.meta.url));
  const child = lab.spawn(node, [process.execPath, path, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'inherit'] });
  assert.ok(child.stdout !== null);
  createInterface({ input: child.stdout }).on('line', (line) => hear(JSON.parse(line) as T));
  return child;
}

export class MailServer {
  readonly taken: TakenMail[] = [];
  readonly refused: RefusedMail[] = [];

  static async start(lab: Lab, node: string, options: MailServerOptions): Promise<MailServer> {
    const server = new MailServer();
    let ready = false;
    program<Said>(lab, node, 'mail-server', options, (said) => {
      if (said.what === 'taken') server.taken.push(said);
      else if (said.what === 'refused') server.refused.push(said);
      else ready = true;
    });
    await eventually(`the mail server in ${node} listens`, () => ready);
    return server;
  }

  /** The subjects of what the office has sent through it. */
  subjects(): string[] {
    return this.taken.filter(({ from }) => from === 'client@office.test').map(({ raw }) => header(raw, 'Subject') ?? '');
  }
}

/** A header of a mail, unfolded; null = it has none of that name. */
export function header(raw: string, name: string): string | null {
  const [head = ''] = raw.split('\r\n\r\n');
  return new RegExp(`^${name}: (.*)$`, 'im').exec(head.replaceAll(/\r\n(?=[ \t])/g, '').replaceAll('\r', ''))?.[1] ?? null;
}

export interface Office {
  readonly gateway: Gateway;
  readonly postfix: PostfixInstance;
  /** by uplink */
  readonly smarthosts: Readonly<Record<string, MailServer>>;
  readonly mailbox: MailServer;
  /** with `mail-relay` and `notify`; already in place */
  readonly config: ConfigFile;
  /** sends so many mails from the client; resolves when the gateway has answered for the last of them */
  send(count: number, intervalMs: number): Promise<readonly Sent[]>;
  /** how many mails wait in the deferred queue */
  deferred(): number;
}

export interface OfficeSetting {
  /** whole sections of the top level */
  readonly top?: Readonly<Record<string, unknown>>;
  readonly defaults?: Readonly<Record<string, unknown>>;
  /** of the whole story, ms; default 90 s */
  readonly timeout?: number;
  readonly skip?: string | false;
}

/** A story in the office. The daemon is for the story to start. */
export function office(story: string, setting: OfficeSetting, tell: (office: Office) => Promise<void>): void {
  const base = quick('office', {
    defaults: { 'hold-down': { factor: 1 }, ...setting.defaults },
  });
  const { timeout = 90_000 } = setting;
  const skip = needsPostfix || (setting.skip ?? false);
  proof(story, { topology: 'office', config: base, start: false, timeout, skip }, async (gateway) => {
    const { lab } = gateway;
    const postfix = new PostfixInstance([
      // An address would have to be there for every tool, also those that we run outside.
      'inet_interfaces=all',
      'mynetworks=192.168.1.0/24',
      'smtp_sasl_security_options=noanonymous',
      'smtpd_peername_lookup=no',
    ]);
    try {
      postfix.postconf('-M', 'smtp/inet=smtp inet n - n - - smtpd');
      const config = { ...base, ...services(gateway, postfix), ...setting.top };
      gateway.configure(config);
      const servers = await Promise.all([
        ...lab.uplinks.map((uplink) =>
          MailServer.start(lab, uplink.isp, {
            address: uplink.smarthost4 ?? '',
            port: PORT,
            customer: uplink.upstream4.replace(/1$/, '2'),
            user: 'office',
            password: passwordOf(uplink.name),
          }),
        ),
        MailServer.start(lab, 'internet', {
          address: MAILBOX4,
          port: PORT,
          customer: null,
          user: 'gateway',
          password: passwordOf('mailbox'),
        }),
      ]);
      const mailbox = servers.at(-1);
      assert.ok(mailbox !== undefined);
      postfix.start(lab.ns('gateway'));
      await tell({
        gateway,
        postfix,
        smarthosts: Object.fromEntries(lab.uplinks.map((uplink, at) => [uplink.name, servers[at] ?? mailbox])),
        mailbox,
        config,
        send: (count, intervalMs) => send(lab, { host: GATEWAY_LAN, port: PORT, count, intervalMs }),
        deferred: () => postfix.queue().filter((name) => name === 'deferred').length,
      });
    } finally {
      postfix.remove();
    }
  });
}

async function send(lab: Lab, options: MailClientOptions): Promise<readonly Sent[]> {
  const sent: Sent[] = [];
  program<Sent>(lab, 'client', 'mail-client', options, (one) => sent.push(one));
  const { count, intervalMs } = options;
  await eventually('every mail has its answer', () => sent.length === count, count * intervalMs + 30_000);
  return sent;
}

/** The password of an uplink's smarthost, of the `mailbox`, or of any other server. */
export function passwordOf(of: string): string {
  return `${SECRET_WORD} of ${of} #1"`;
}

/** The file of a secret, and the key that names it. */
export function secretFile(gateway: Gateway, of: string): string {
  const dir = join(gateway.dir, 'secrets');
  mkdirSync(dir, { recursive: true });
  const path = join(dir, of);
  writeFileSync(path, `${passwordOf(of)}\n`, { mode: 0o600 });
  return path;
}

function services(gateway: Gateway, postfix: PostfixInstance): Readonly<Record<string, unknown>> {
  const smarthost = (uplink: string): object => ({
    host: `${gateway.lab.uplink(uplink).smarthost4}:${PORT}`,
    user: 'office',
    'password-file': secretFile(gateway, uplink),
  });
  return {
    'mail-relay': {
      postfix: postfix.config,
      smarthosts: Object.fromEntries(gateway.lab.uplinks.map(({ name }) => [name, smarthost(name)])),
    },
    notify: {
      admin: {
        mail: {
          to: 'admin@office.test',
          from: 'gateway@office.test',
          via: `smtp://${MAILBOX4}:${PORT}`,
          tls: 'none',
          user: 'gateway',
          'password-file': secretFile(gateway, 'mailbox'),
        },
      },
    },
  };
}

/** Looks for the secret word in the words and environment of every process, again and again, until told to end. */
export class SecretWatch {
  readonly found = new Set<string>();
  /** programs that were seen: a watch that saw nothing proves nothing */
  readonly seen = new Set<string>();
  #ended = false;
  readonly #work: Promise<void>;

  constructor() {
    this.#work = this.#watch();
  }

  async end(): Promise<void> {
    this.#ended = true;
    await this.#work;
  }

  async #watch(): Promise<void> {
    while (!this.#ended) {
      for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
        const words = readOrNothing(`/proc/${pid}/cmdline`);
        this.seen.add(words.split('\0')[0] ?? '');
        // The servers and the client have theirs from us, on purpose.
        if (words.includes(SECRET_WORD) && !words.includes('mail-server.js')) this.found.add(words);
        const environment = readOrNothing(`/proc/${pid}/environ`);
        if (environment.includes(SECRET_WORD)) this.found.add(`the environment of ${words}`);
      }
      // A story that fails before it says so shall not be kept alive by us.
      await new Promise((resolve) => setTimeout(resolve, 15).unref());
    }
  }
}

/** Every file below a folder that holds the secret word. */
export function filesWithSecret(dir: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => readOrNothing(path).includes(SECRET_WORD));
}

/** Processes end and files go between the listing and the reading. */
function readOrNothing(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
