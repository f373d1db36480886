// Short notices at the bottom of the page, with at most one action (undo). They stay long enough to be read and longer while
// the pointer or the focus is on them; screen readers hear them.
import { type ReactElement, useEffect, useState } from "react";
import { useStrings } from "../preferences.ts";
import { Signal, useSignal } from "../signal.ts";
import { IconButton } from "./controls.tsx";
import { noticeMs } from "./shown-times.ts";

export interface Toast {
  id: number;
  text: string;
  action?: { label: string; run: () => void };
  isError?: boolean;
}

const toasts = new Signal<readonly Toast[]>([]);
let count = 0;

export function showToast(toast: Omit<Toast, "id">): void {
  toasts.value = [...toasts.value.slice(-2), { ...toast, id: ++count }];
}

const dismiss = (id: number): void => {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
};

export function Toasts(): ReactElement {
  const shown = useSignal(toasts);
  return (
    <div className="toasts" role="status" aria-live="polite">
      {shown.map((toast) => (
        <ToastCard key={toast.id} toast={toast} />
      ))}
    </div>
  );
}

function ToastCard({ toast }: { toast: Toast }): ReactElement {
  const t = useStrings();
  const [isHeld, setHeld] = useState(false);
  useEffect(() => {
    if (isHeld || toast.isError) return;
    const timer = setTimeout(() => dismiss(toast.id), noticeMs);
    return () => clearTimeout(timer);
  }, [isHeld, toast]);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: it only waits longer while somebody is on it
    <div
      className={toast.isError ? "toast error" : "toast"}
      onPointerEnter={() => setHeld(true)}
      onPointerLeave={() => setHeld(false)}
      onFocus={() => setHeld(true)}
      onBlur={() => setHeld(false)}
    >
      <span>{toast.text}</span>
      {toast.action && (
        <button
          type="button"
          className="toast-action"
          onClick={() => {
            dismiss(toast.id);
            toast.action?.run();
          }}
        >
          {toast.action.label}
        </button>
      )}
      <IconButton icon="close" label={t.close} onClick={() => dismiss(toast.id)} />
    </div>
  );
}
