// An answer as a file: the same press that an analysis has, for any text.
import type { ReactElement } from "react";
import { makeFile, save } from "../documents/office-api.ts";
import { messageError } from "../live-answer.ts";
import { Menu } from "../ui/controls.tsx";
import { showToast } from "../ui/toasts.tsx";
import { useOfficeStrings } from "../use-office-strings.ts";

const formats = ["docx", "pptx", "outline", "wechat", "post"] as const;
/** Only an answer with a table in it becomes a sheet. */
const sheets = ["xlsx", "csv"] as const;
type Format = (typeof formats)[number] | (typeof sheets)[number];
const tableRow = /^\s*\|.+\|\s*$/m;

export function AnswerFiles({ text }: { text: string }): ReactElement {
  const t = useOfficeStrings();
  const make = async (format: Format): Promise<void> => {
    try {
      const { blob, name } = await makeFile({ format, markdown: text });
      save(blob, name);
    } catch (error) {
      showToast({ text: `${t.failed} ${messageError(error).message}`, isError: true });
    }
  };
  return (
    <Menu
      label={t.deliver}
      items={[...formats, ...(tableRow.test(text) ? sheets : [])].map((format: Format) => ({
        icon: "download",
        label: t.formats[format],
        onSelect: () => void make(format),
      }))}
    />
  );
}
