/**
 * What a traffic host (host-process.ts) can run for its owner, and in which words they speak. Shapes alone.
 */
import type { ConnectionsClientTypes, ConnectionsServerTypes } from './connection-agents.js';
import type { StreamClientTypes, StreamServerTypes } from './stream-agents.js';
import type { UdpTypes } from './udp-agent.js';

export interface AgentTypes {
  readonly udp: UdpTypes;
  readonly 'stream-server': StreamServerTypes;
  readonly 'stream-client': StreamClientTypes;
  readonly 'connections-server': ConnectionsServerTypes;
  readonly 'connections-client': ConnectionsClientTypes;
}

export type AgentKind = keyof AgentTypes;

/** One message to a host; it answers each with a {@link HostAnswer} of the same id. */
export type HostCommand = { readonly id: number } & (
  | { readonly do: 'start'; readonly agent: number; readonly kind: AgentKind; readonly options: unknown }
  | { readonly do: 'report' | 'quiet' | 'close'; readonly agent: number }
);

export type HostAnswer =
  | { readonly id: number; readonly ok: true; readonly result: unknown }
  | { readonly id: number; readonly ok: false; readonly error: string };
