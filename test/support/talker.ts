/** Someone in a node of a lab who serves, opens connections and keeps them open, at the orders of a test. */
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Lab } from '../../src/lab/lab.js';
import type { TalkAnswer, TalkCommand } from './talk-agent.js';

const AGENT = fileURLToPath(new URL('./talk-agent.js', import.meta.url));

export class Talker {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (value: string) => void>();
  #asked = 0;
  #talks = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    if (child.stdout === null) throw new Error('no pipe');
    createInterface({ input: child.stdout }).on('line', (line) => {
      const { n, value } = JSON.parse(line) as TalkAnswer;
      this.#waiting.get(n)?.(value);
      this.#waiting.delete(n);
    });
  }

  /** Ends with the lab. */
  static async start(lab: Lab, node: string): Promise<Talker> {
    const talker = new Talker(lab.spawn(node, [process.execPath, AGENT], { stdio: ['pipe', 'pipe', 'inherit'] }));
    await new Promise<string>((resolve) => talker.#waiting.set(0, resolve));
    return talker;
  }

  /** Serves IPv4 and IPv6. */
  async listen(port: number): Promise<void> {
    await this.#do({ do: 'listen', port });
  }

  async open(host: string, port: number, localPort: number | null = null): Promise<Conversation> {
    const id = ++this.#talks;
    const opened = await this.#do({ do: 'open', id, host, port, localPort });
    return { opened, say: (text) => this.#do({ do: 'say', id, text }) };
  }

  #do(command: TalkCommand): Promise<string> {
    const n = ++this.#asked;
    this.#child.stdin?.write(`${JSON.stringify({ n, ...command })}\n`);
    return new Promise((resolve) => this.#waiting.set(n, resolve));
  }
}

export interface Conversation {
  /** our port; an errno or `silence` where it did not come about */
  readonly opened: string;
  /** @returns what comes back: the address that the other side sees, a blank, the text; or how it failed */
  say(text: string): Promise<string>;
}
