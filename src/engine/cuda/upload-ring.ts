// Pinned memory through which the host's small tables (batch, page tables, masks, prompt tokens) go to the GPU. A piece stays untouched until
// the step that reads it has passed; the ring refuses to overtake it.
import { AppError } from "../../base/errors.ts";
import type { Handle } from "./bindings.ts";
import type { Device, HostMemory } from "./device.ts";

export class UploadRing {
  readonly #device: Device;
  readonly #memory: HostMemory;
  /** Bytes ever taken, and ever given back. */
  #taken = 0;
  #released = 0;

  constructor(device: Device, bytes: number) {
    this.#device = device;
    this.#memory = device.host(bytes, "upload ring");
  }

  /** Where the ring stands: release() it when the stream has passed. */
  get place(): number {
    return this.#taken;
  }

  release(place: number): void {
    this.#released = Math.max(this.#released, place);
  }

  /** Copies bytes to the device, in the stream's order. */
  write(target: Handle, data: ArrayBufferView): void {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    if (bytes.length === 0) return;
    const size = this.#memory.bytes.length;
    const aligned = Math.ceil(bytes.length / 16) * 16;
    // A piece does not wrap: skip the end when it does not fit there.
    const at = this.#taken % size;
    if (at + aligned > size) this.#taken += size - at;
    if (this.#taken + aligned - this.#released > size) {
      throw new AppError("internal", `Steps in flight hold more than the ${size} bytes of the upload ring.`);
    }
    const from = this.#taken % size;
    this.#memory.bytes.set(bytes, from);
    this.#device.toDevice(target, this.#memory.address + from, bytes.length);
    this.#taken += aligned;
  }
}
