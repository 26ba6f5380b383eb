/**
 * Notices changes in a folder that may not exist yet, or vanish and return: inotify on the folder itself, or on the nearest one
 * above it that there is. Says only "look again". Never throws; where the kernel grants no watch the caller's slow look remains.
 */
import { type FSWatcher, statSync, watch } from 'node:fs';
import { dirname } from 'node:path';

export class FolderWatch {
  readonly #folder: string;
  readonly #onChange: () => void;
  #watcher: FSWatcher | null = null;
  /** of what is watched: a folder that was removed and made anew is another one */
  #watched = '';
  #closed = false;

  constructor(folder: string, onChange: () => void) {
    this.#folder = folder;
    this.#onChange = onChange;
  }

  /** Looks whether the right folder is watched, and changes over where not. Cheap: call it at every slow look too. */
  arm(): void {
    for (let path = this.#folder; !this.#closed; path = dirname(path)) {
      const identity = identify(path);
      if (identity !== null) {
        if (identity !== this.#watched || this.#watcher === null) this.#watch(path, identity);
        return;
      }
      if (path === dirname(path)) return;
    }
  }

  close(): void {
    this.#closed = true;
    this.#drop();
  }

  #watch(path: string, identity: string): void {
    this.#drop();
    try {
      const watcher = watch(path, { persistent: false }, () => {
        const before = this.#watched;
        this.arm();
        // Above the folder most of what happens is none of ours.
        if (path === this.#folder || this.#watched !== before) this.#onChange();
      });
      watcher.on('error', () => {
        if (this.#watcher === watcher) this.#drop();
      });
      this.#watcher = watcher;
      this.#watched = identity;
    } catch {
      // Gone again, or no inotify watch is left (ENOSPC): the next slow look tries anew.
      return;
    }
    // What came into being between the look and the watch makes no event.
    if (path !== this.#folder) this.arm();
  }

  #drop(): void {
    this.#watcher?.close();
    this.#watcher = null;
    this.#watched = '';
  }
}

function identify(path: string): string | null {
  try {
    const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
    // The number alone may have been given to another folder already.
    return stat?.isDirectory() ? `${stat.dev}:${stat.ino}:${stat.birthtimeNs}` : null;
  } catch {
    return null;
  }
}
