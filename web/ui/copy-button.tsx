import { type ReactElement, useEffect, useState } from "react";
import { useStrings } from "../preferences.ts";
import { copyText } from "./clipboard.ts";
import { Icon } from "./icons.tsx";
import { copiedMs } from "./shown-times.ts";
import { showToast } from "./toasts.tsx";

/** Copies what `content` gives at the moment of the click and confirms it on the button itself. */
export function CopyButton({
  label,
  content,
}: {
  label: string;
  content: () => { text: string; html?: string };
}): ReactElement {
  const t = useStrings();
  const [isCopied, setCopied] = useState(false);
  useEffect(() => {
    if (!isCopied) return;
    const timer = setTimeout(() => setCopied(false), copiedMs);
    return () => clearTimeout(timer);
  }, [isCopied]);
  const copy = async (): Promise<void> => {
    const { text, html } = content();
    if (await copyText(text, html)) setCopied(true);
    else showToast({ text: t.copyFailed, isError: true });
  };
  const name = isCopied ? t.copied : label;
  return (
    <button type="button" className="icon-button" aria-label={name} title={name} onClick={() => void copy()}>
      <Icon name={isCopied ? "check" : "copy"} />
    </button>
  );
}
