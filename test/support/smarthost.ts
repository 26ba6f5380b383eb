/**
 * A provider's mail server: takes mail, with a login where one is given, and remembers it. May be told to fall silent.
 */
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { SMTPServer } from 'smtp-server';

export interface TakenMail {
  readonly subject: string;
  /** who had logged in */
  readonly user: string | null;
}

export class Smarthost {
  readonly mails: TakenMail[] = [];
  /** while true, a mail is read and never answered */
  silent = false;
  /** mails that were read and not answered */
  held = 0;
  readonly address: string;
  readonly port: number;
  readonly #server: SMTPServer;

  private constructor(address: string, port: number, login: { readonly user: string; readonly password: string } | null) {
    this.address = address;
    this.port = port;
    this.#server = new SMTPServer({
      authOptional: login === null,
      allowInsecureAuth: true,
      disabledCommands: ['STARTTLS'],
      disableReverseLookup: true,
      logger: false,
      onAuth: ({ username, password }, _session, done) => {
        const right = login !== null && username === login.user && password === login.password;
        done(right ? null : new Error('wrong login'), right ? { user: username } : undefined);
      },
      onData: (stream, session, done) => {
        text(stream).then(
          (mail) => {
            if (this.silent) {
              this.held++;
              return;
            }
            const subject = /^Subject: (.*?)\r?$/m.exec(mail)?.[1] ?? '';
            this.mails.push({ subject, user: typeof session.user === 'string' ? session.user : null });
            done();
          },
          () => {
            // The sender went in the middle of it.
          },
        );
      },
    });
    this.#server.on('error', () => undefined);
  }

  static async start(address: string, port: number, login: { user: string; password: string } | null = null): Promise<Smarthost> {
    const host = new Smarthost(address, port, login);
    host.#server.listen(port, address);
    await once(host.#server.server, 'listening');
    return host;
  }

  subjects(): string[] {
    return this.mails.map(({ subject }) => subject);
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}
