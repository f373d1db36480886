// Memory by part: what the weights take, what running conversations hold, what is kept for later ones, and what is left. On a GPU it is
// the GPU's memory; else the machine's, of which the engine has a share.
import type { ReactElement } from "react";
import type { LiveBody } from "../../src/server/api-types.ts";
import { useStrings } from "../preferences.ts";
import { bytes, shortCount, tokenWords } from "../ui/format.ts";

const parts = ["weights", "used", "kept", "reserved", "other", "free"] as const;

type Parts = Readonly<Record<(typeof parts)[number], number>>;

/** In bytes; they add up to the memory of the device. */
export function memoryParts({ engine: { memory }, gpu, cpu }: LiveBody): Parts {
  const { weightBytes, kvUsedBytes, kvKeptBytes, kvBytes } = memory;
  const total = gpu?.memoryTotalBytes ?? memory.totalBytes ?? cpu.memoryTotalBytes;
  const taken =
    gpu?.memoryUsedBytes ?? (memory.freeBytes === undefined ? cpu.memoryUsedBytes : total - memory.freeBytes);
  const reserved = Math.max(0, kvBytes - kvUsedBytes - kvKeptBytes);
  const free = Math.max(0, total - taken);
  return {
    weights: weightBytes,
    used: kvUsedBytes,
    kept: kvKeptBytes,
    reserved,
    other: Math.max(0, total - free - weightBytes - kvBytes),
    free,
  };
}

export function MemoryLines({ live }: { live: LiveBody }): ReactElement {
  const t = useStrings();
  const amounts = memoryParts(live);
  const total = parts.reduce((sum, part) => sum + amounts[part], 0);
  const { usedTokens, cachedTokens, totalTokens } = live.engine.kv;
  const share = (part: (typeof parts)[number]): string => `${(100 * amounts[part]) / Math.max(1, total)}%`;
  const words = parts.map((part) => `${t.memoryParts[part]} ${bytes(amounts[part])}`).join(", ");
  return (
    <>
      <div className="engine-line stacked">
        <dt>{live.gpu ? t.gpuMemory : t.machineMemory}</dt>
        <dd>
          <span className="bar" role="img" aria-label={words} title={words}>
            {parts.map((part) => (
              <span key={part} className={`memory-${part}`} style={{ inlineSize: share(part) }} />
            ))}
          </span>
          <span className="legend memory-legend">
            {parts
              .filter((part) => amounts[part] > 0)
              .map((part) => (
                <span key={part}>
                  <span className={`swatch memory-${part}`} />
                  {t.memoryParts[part]} {bytes(amounts[part])}
                </span>
              ))}
          </span>
        </dd>
      </div>
      <div className="engine-line stacked">
        <dt>{t.memory}</dt>
        <dd>
          <span className="legend">
            {t.memoryLegend(shortCount(usedTokens), shortCount(cachedTokens), tokenWords(totalTokens))}
          </span>
        </dd>
      </div>
    </>
  );
}
