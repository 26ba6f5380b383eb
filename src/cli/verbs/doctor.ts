import type { Io } from '../io.js';
import type { Places } from '../places.js';
export async function doctor(_p: Places, _o: { readonly fix?: boolean; readonly json?: boolean }, _io: Io): Promise<number> {
  return 0;
}
