// Files on their way, above the message that waits for them: how far the reading is, its end, and the password of an encrypted one.
import { type ReactElement, useState } from "react";
import { useSignal } from "../signal.ts";
import { IconButton } from "../ui/controls.tsx";
import { Icon } from "../ui/icons.tsx";
import { useOfficeStrings } from "../use-office-strings.ts";
import type { Upload } from "./uploads.ts";
import "../styles/files.css";

export function UploadChips({ uploads }: { uploads: readonly Upload[] }): ReactElement | undefined {
  if (uploads.length === 0) return;
  return (
    <ul className="chips uploads" aria-live="polite">
      {uploads.map((upload) => (
        <UploadChip key={upload.key} upload={upload} />
      ))}
    </ul>
  );
}

function UploadChip({ upload }: { upload: Upload }): ReactElement {
  const t = useOfficeStrings();
  const state = useSignal(upload.state);
  const [password, setPassword] = useState("");
  const isPaged = state.phase === "reading" && state.page !== undefined && state.pages !== undefined;
  const words =
    state.phase === "uploading"
      ? t.uploading
      : state.phase === "locked"
        ? (state.isWrong ? t.passwordWrong : t.passwordFor)(upload.name)
        : isPaged
          ? (state.isRecognising ? t.recognisingPage : t.readingPage)(state.page ?? 0, state.pages ?? 0)
          : t.readingFile;
  return (
    <li className="chip upload" data-phase={state.phase}>
      <span className="chip-name">
        <Icon name="file" />
        <span>
          <span className="chip-title">{upload.name}</span>
          <small>{words}</small>
          {state.phase === "locked" ? (
            <form
              className="unlock"
              onSubmit={(event) => {
                event.preventDefault();
                if (password !== "") upload.unlock(password);
                setPassword("");
              }}
            >
              <input
                type="password"
                value={password}
                aria-label={t.passwordFor(upload.name)}
                aria-invalid={state.isWrong}
                onChange={(event) => setPassword(event.target.value)}
              />
              <button type="submit" className="button" disabled={password === ""}>
                {t.openFile}
              </button>
            </form>
          ) : (
            <progress
              className="bar"
              aria-label={words}
              {...(isPaged ? { value: state.page ?? 0, max: Math.max(1, state.pages ?? 1) } : {})}
            />
          )}
        </span>
      </span>
      <IconButton icon="close" label={t.cancelUpload(upload.name)} onClick={() => upload.cancel()} />
    </li>
  );
}
