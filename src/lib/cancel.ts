/** Every call that may take long is handed a signal; aborting it makes the call throw the signal's reason. */
export interface Cancel {
  readonly signal: AbortSignal;
}
