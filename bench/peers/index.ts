/** The other programs that the benchmark knows. */
import type { Contender } from '../contender.js';
import { bird } from './bird.js';
import { keepalived } from './keepalived.js';
import { lsm } from './lsm.js';

export const peers: readonly Contender[] = [lsm, keepalived, bird];
