/** What a GPU tells of itself at one moment. A value that it does not tell is absent. */
export interface GpuReading {
  name: string;
  /** 0..100 */
  utilisationPercent?: number;
  memoryTotalBytes: number;
  memoryUsedBytes: number;
  temperatureCelsius?: number;
  powerWatts?: number;
  powerLimitWatts?: number;
  coreClockMhz?: number;
  memoryClockMhz?: number;
  /** Why the clocks are below their maximum, in plain words; empty when nothing holds them down. */
  throttleReasons: string[];
  /** Energy since the driver was loaded; differences give the energy of an answer. */
  energyJoules?: number;
}
