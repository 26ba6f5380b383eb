/**
 * A provider's mail server, or the administrator's mailbox, as a process in its namespace: takes mail from its own customers with
 * their login, refuses everybody else for good, and tells of everything as JSON lines. Ends with its standard input.
 */
import { text } from 'node:stream/consumers';
import { SMTPServer } from 'smtp-server';
import { monotonicMs } from '../../../src/lab/clock.js';

export interface MailServerOptions {
  readonly address: string;
  readonly port: number;
  /** the address that its customers come from; null = everybody is one */
  readonly customer: string | null;
  readonly user: string;
  readonly password: string;
}

export interface TakenMail {
  readonly what: 'taken';
  /** CLOCK_MONOTONIC: before the answer went out */
  readonly atMs: number;
  readonly source: string;
  readonly from: string;
  readonly to: readonly string[];
  readonly raw: string;
}

export interface RefusedMail {
  readonly what: 'refused';
  readonly atMs: number;
  readonly source: string;
}

export type Said = TakenMail | RefusedMail | { readonly what: 'ready' };

function say(said: Said): void {
  process.stdout.write(`${JSON.stringify(said)}\n`);
}

const options = JSON.parse(process.argv[2] ?? '') as MailServerOptions;
const server = new SMTPServer({
  allowInsecureAuth: true,
  disabledCommands: ['STARTTLS'],
  disableReverseLookup: true,
  logger: false,
  onAuth: ({ username, password }, _session, done) => {
    const right = username === options.user && password === options.password;
    done(right ? null : new Error('wrong login'), right ? { user: username } : undefined);
  },
  // Not at the greeting: that Postfix would forgive (smtp_skip_5xx_greeting).
  onRcptTo: (_address, { remoteAddress }, done) => {
    if (options.customer === null || remoteAddress === options.customer) return done();
    say({ what: 'refused', atMs: monotonicMs(), source: remoteAddress });
    done(Object.assign(new Error('5.7.1 you are no customer of ours'), { responseCode: 550 }));
  },
  onData: (stream, { remoteAddress, envelope }, done) => {
    text(stream).then(
      (raw) => {
        const from = envelope.mailFrom === false ? '' : envelope.mailFrom.address;
        const to = envelope.rcptTo.map(({ address }) => address);
        say({ what: 'taken', atMs: monotonicMs(), source: remoteAddress, from, to, raw });
        done();
      },
      () => {
        // The sender went in the middle of it: nothing was taken, and nobody is there to be told.
      },
    );
  },
});
// Clients that vanish are part of the story.
server.on('error', () => undefined);
server.listen(options.port, options.address, () => say({ what: 'ready' }));
process.stdin.resume().on('end', () => process.exit(0));
