/** fast-check with the seed of every randomised test here: BACKROUTE_SEED, else the usual one. What fails prints it. */
import fc from 'fast-check';
import { seedFromEnvironment } from './random.js';

fc.configureGlobal({ seed: seedFromEnvironment() });

export default fc;
