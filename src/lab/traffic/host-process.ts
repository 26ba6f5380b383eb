/**
 * The program that carries a lab's traffic in one namespace: runs the agents that its owner asks for over Node's IPC channel,
 * any number at once. Argument `ahead`: before all ordinary processes, so that a busy machine does not bend what is measured.
 * Ends when the channel does, which is also when its owner dies.
 */
import { runAhead } from '../libc.js';
import type { Agent } from './agent.js';
import { startConnectionsClient, startConnectionsServer } from './connection-agents.js';
import type { HostAnswer, HostCommand } from './host-protocol.js';
import { startStreamClient, startStreamServer } from './stream-agents.js';
import { startUdp } from './udp-agent.js';

const agents = new Map<number, Agent<unknown, unknown>>();

/** Options come from our own library in the same version: their shapes are taken on trust. */
function start(kind: string, options: unknown): Promise<Agent<unknown, unknown>> {
  switch (kind) {
    case 'udp':
      return startUdp(options as Parameters<typeof startUdp>[0]);
    case 'stream-server':
      return startStreamServer(options as Parameters<typeof startStreamServer>[0]);
    case 'stream-client':
      return startStreamClient(options as Parameters<typeof startStreamClient>[0]);
    case 'connections-server':
      return startConnectionsServer(options as Parameters<typeof startConnectionsServer>[0]);
    case 'connections-client':
      return startConnectionsClient(options as Parameters<typeof startConnectionsClient>[0]);
    default:
      throw new Error(`no agent "${kind}"`);
  }
}

async function obey(command: HostCommand): Promise<unknown> {
  if (command.do === 'start') {
    const agent = await start(command.kind, command.options);
    agents.set(command.agent, agent);
    return agent.started;
  }
  const agent = agents.get(command.agent);
  if (agent === undefined) throw new Error(`no agent ${command.agent}`);
  if (command.do === 'report') return agent.report();
  if (command.do === 'quiet') return agent.quiet();
  agents.delete(command.agent);
  return agent.close();
}

async function answer(command: HostCommand): Promise<void> {
  let said: HostAnswer;
  try {
    said = { id: command.id, ok: true, result: (await obey(command)) ?? null };
  } catch (error) {
    said = { id: command.id, ok: false, error: error instanceof Error ? error.message : String(error) };
  }
  if (process.connected) process.send?.(said);
}

if (process.argv[2] === 'ahead') runAhead();
process.on('message', (command: HostCommand) => void answer(command));
process.on('disconnect', () => process.exit(0));
process.send?.('ready');
