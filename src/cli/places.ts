/** Where config, state and control socket are: options, else environment, else the usual places. */
import { join } from 'node:path';

export interface Places {
  readonly configPath: string;
  readonly stateDir: string;
  readonly runDir: string;
}

export interface PlaceOptions {
  readonly config?: string;
  readonly stateDir?: string;
  readonly runDir?: string;
}

/** systemd's StateDirectory= and RuntimeDirectory= set STATE_DIRECTORY and RUNTIME_DIRECTORY: systemd.exec(5). */
export function placesOf(options: PlaceOptions, environment: Readonly<Record<string, string | undefined>>): Places {
  return {
    configPath: options.config ?? environment.BACKROUTE_CONFIG ?? '/etc/backroute/backroute.yaml',
    stateDir: options.stateDir ?? environment.BACKROUTE_STATE_DIR ?? environment.STATE_DIRECTORY ?? '/var/lib/backroute',
    runDir: options.runDir ?? environment.BACKROUTE_RUN_DIR ?? environment.RUNTIME_DIRECTORY ?? '/run/backroute',
  };
}

/** The daemon's control socket; the same name as in api/server.ts, which is too heavy to load for it. */
export function socketPath(places: Places): string {
  return join(places.runDir, 'control.sock');
}
