// Ctrl-C, SIGTERM and a closed terminal, for every command alike: the first one asks the command to stop, a second one ends the process.

/**
 * What follows this soon is the same press: the terminal signals every process of the group, and npm and the launcher for an older
 * Node pass on to their child what it got already.
 */
const samePressMs = 500;

/** Aborts at the first signal. Takes the signals over for as long as the process lives. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  let firstAt: number | undefined;
  const press = (): void => {
    const now = performance.now();
    firstAt ??= now;
    if (now - firstAt >= samePressMs) process.exit(130);
    stop.abort();
  };
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, press);
  return stop.signal;
}
