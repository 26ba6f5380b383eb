/**
 * What goes wrong in the lab, in words for people, with the remedy where there is one.
 */

export class LabError extends Error {
  /** what to do about it, one sentence; null = nothing known */
  readonly remedy: string | null;
  constructor(message: string, remedy: string | null = null) {
    super(message);
    this.name = 'LabError';
    this.remedy = remedy;
  }
}
