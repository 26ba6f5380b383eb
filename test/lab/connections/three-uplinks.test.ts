/** Three uplinks under all traffic at once: who goes by the third notices nothing. Needs root. */
import { evening } from './story.js';

evening({ topology: 'three-uplinks', family: 6, cut: 'silent', masquerade: 'ours' });
evening({ topology: 'three-uplinks', family: 4, cut: 'carrier', masquerade: 'ours' });
