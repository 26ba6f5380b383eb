/** Two uplinks under all traffic at once: lost, and back. Needs root. */
import { evening } from './story.js';

evening({ topology: 'two-nic', family: 4, cut: 'silent', masquerade: 'ours' });
evening({ topology: 'two-nic', family: 6, cut: 'carrier', masquerade: 'ours' });
evening({ topology: 'two-nic', family: 4, cut: 'carrier', masquerade: 'theirs' });
