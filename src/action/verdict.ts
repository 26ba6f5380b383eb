/**
 * How one attempt to deliver one message went, as every transport says it and the outbox acts on it. Knows no transport.
 */
import type { Notice } from '../core/action.js';
import type { ChannelConfig } from '../core/services.js';

/** `text` is for people: it has the server's answer in it and never a secret. */
export type Verdict =
  | { readonly kind: 'delivered'; readonly text: string }
  /** worth another try; `served`: recipients that have it already and must not get it again */
  | { readonly kind: 'retry'; readonly text: string; readonly afterMs?: number; readonly served?: readonly string[] }
  /** the secret is missing or was refused: it is tried on, but slowly, until someone puts it right */
  | { readonly kind: 'credentials'; readonly text: string }
  /** the server will never take this message */
  | { readonly kind: 'refused'; readonly text: string };

export interface Attempt {
  /** recipients that an earlier attempt has reached */
  readonly served: readonly string[];
  /** the way out has changed: give up wherever the server cannot have taken the message yet, to be tried anew at once */
  readonly hurry: AbortSignal;
  /** end now in any case */
  readonly stop: AbortSignal;
}

/** One attempt. May reject: that counts as `retry`. */
export type Deliver = (channel: ChannelConfig, notice: Notice, attempt: Attempt) => Promise<Verdict>;
