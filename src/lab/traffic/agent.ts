/**
 * One end of one flow of traffic, as a traffic host runs it: what all kinds have in common. Shapes alone.
 */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** An agent in its own process. */
export interface Agent<Started, Report> {
  readonly started: Started;
  report(): Report;
  /** Begins nothing more; what is on its way may still arrive. */
  quiet(): void;
  close(): void;
}
